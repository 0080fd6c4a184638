"""What UNIT's scalars on TensorBoard are."""

_RECONSTRUCTION = (
    "mean absolute difference between {0} images in [-1, 1] and what encoder "
    "and decoder of their own domain make of them, times importance and "
    "--reconstruction_weight; lower is better."
)
_CYCLE = (
    "mean absolute difference between {0} images in [-1, 1] and what comes "
    "back from the other domain, times importance and --cycle_weight; lower is "
    "better."
)
_KL = (
    "mean square of the latent codes of {0} images, times importance and "
    "--kl_weight; steady is good, vanishing or growing without end is not."
)
_CYCLE_KL = (
    "mean square of the latent codes of the translations of {0} images, times "
    "importance and --kl_weight; steady is good, vanishing or growing without "
    "end is not."
)
_PERCEPTUAL = (
    "mean squared difference between VGG-16's normalised features of {0} "
    "images and of their translations, times importance and "
    "--perceptual_weight; lower is better."
)
_GENERATOR = (
    "adversarial loss of this direction, summed over scales, times importance; "
    "lower is better, for a fixed discriminator."
)
_DISCRIMINATOR = (
    "loss of the discriminator of {0} images, summed over scales, times "
    "importance; when it stays near 0 the discriminator dominates, and its "
    "generator learns no more."
)
_ACCURACY = (
    "share (0 to 1) of patches that the discriminator of {0} images judges "
    "rightly, mean over scales; 0.5 is an even game, and when it stays at 1 "
    "the discriminator dominates."
)
_NORM = (
    "Euclidean norm of the gradients of both {0}s, over the global batch; "
    "steady is good, growth without end is not."
)
_RATE = "step size of Adam for both {0}s; neither higher nor lower is better."


def _of_each(tag: str, text: str, *names: str) -> dict[str, str]:
    return {tag.format(name): text.format(name) for name in names}


_DOMAINS = ("source", "target")

DESCRIPTIONS = {
    "generator/source_to_target": _GENERATOR,
    "generator/target_to_source": _GENERATOR,
    **_of_each("reconstruction/{}", _RECONSTRUCTION, *_DOMAINS),
    **_of_each("cycle/{}", _CYCLE, *_DOMAINS),
    **_of_each("kl/{}", _KL, *_DOMAINS),
    **_of_each("cycle_kl/{}", _CYCLE_KL, *_DOMAINS),
    **_of_each("perceptual/{}", _PERCEPTUAL, *_DOMAINS),
    **_of_each("discriminator/{}", _DISCRIMINATOR, *_DOMAINS),
    **_of_each("accuracy/{}_discriminator", _ACCURACY, *_DOMAINS),
    **_of_each("gradient_norm/{}", _NORM, "generator", "discriminator"),
    **_of_each("learning_rate/{}", _RATE, "generator", "discriminator"),
}
