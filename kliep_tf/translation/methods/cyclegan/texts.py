"""What CycleGAN's scalars on TensorBoard are."""

_CYCLE = (
    "mean absolute difference between {0} images in [-1, 1] and what comes "
    "back from the other domain, times importance and --cycle_weight; lower is "
    "better."
)
_IDENTITY = (
    "mean absolute difference between {0} images in [-1, 1] and what the "
    "generator of {0} images makes of them, times importance, --cycle_weight "
    "and --identity_weight; lower is better."
)
_GENERATOR = (
    "adversarial loss of this generator by --adversarial_loss, times "
    "importance; lower is better, for a fixed discriminator."
)
_DISCRIMINATOR = (
    "half the loss of the discriminator of {0} images by --adversarial_loss, "
    "times importance; when it stays near 0 the discriminator dominates, and "
    "its generator learns no more."
)
_ACCURACY = (
    "share (0 to 1) of patches that the discriminator of {0} images judges "
    "rightly; 0.5 is an even game, and when it stays at 1 the discriminator "
    "dominates."
)
_NORM = (
    "Euclidean norm of the gradients of both {0}s, over the global batch; "
    "steady is good, growth without end is not."
)
_RATE = (
    "step size of Adam for both {0}s, constant and then falling to 0; neither "
    "higher nor lower is better."
)


def _of_each(tag: str, text: str, *names: str) -> dict[str, str]:
    return {tag.format(name): text.format(name) for name in names}


DESCRIPTIONS = {
    "generator/source_to_target": _GENERATOR,
    "generator/target_to_source": _GENERATOR,
    **_of_each("cycle/{}", _CYCLE, "source", "target"),
    **_of_each("identity/{}", _IDENTITY, "source", "target"),
    **_of_each("discriminator/{}", _DISCRIMINATOR, "source", "target"),
    **_of_each("accuracy/{}_discriminator", _ACCURACY, "source", "target"),
    **_of_each("gradient_norm/{}", _NORM, "generator", "discriminator"),
    **_of_each("learning_rate/{}", _RATE, "generator", "discriminator"),
}
