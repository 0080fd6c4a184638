"""Early signs that an adversarial training has gone wrong."""

import sys
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

# A discriminator that cannot tell real from fake has a halved loss of 0.25
# (lsgan), 0.69 (bce) or 1 (hinge). At 0.01 it tells them apart with certainty:
# its outputs are within 0.1 of what lsgan asks for, or it says 99 %.
_DISCRIMINATOR_LOSS = 0.01
# The discriminator may win for a while, at first above all. A generator that
# has not answered in a twentieth of the training will hardly do so later.
_PATIENCE_SHARE = 0.05
_MIN_PATIENCE = 200
# Standard deviations, of values in [-1, 1]: a bit more than one gray level of
# 256. Images of streets have 0.3 and more, within one image as between two.
_SPREAD = 0.01


class CollapseWatch:
    """Warns when a discriminator has won, or a generator's output is constant.

    Each warning is given once, and again only if what it tells of has passed.
    """

    def __init__(
        self, num_steps: int, warn: Callable[[int, str], None] | None = None
    ):
        """Starts watching.

        Args:
            num_steps: of the training, from which the patience follows.
            warn: takes the step and a line; by default it goes to stderr and
                to TensorBoard's default writer.
        """
        self._patience = max(_MIN_PATIENCE, round(_PATIENCE_SHARE * num_steps))
        self._warn = warn or _warn
        self._low_since = {}
        self._active = set()

    def see_losses(self, step: int, means: Mapping[str, float]) -> None:
        """Takes the means of the losses up to `step`, by name."""
        for name, value in means.items():
            if not name.startswith("discriminator/"):
                continue
            low = value < _DISCRIMINATOR_LOSS
            if not low:
                self._low_since.pop(name, None)
            since = self._low_since.setdefault(name, step) if low else step
            self._report(
                step,
                name,
                low and step - since >= self._patience,
                f"{name} has been below {_DISCRIMINATOR_LOSS} since step "
                f"{since}: this discriminator tells real from fake with "
                "certainty, and its generator hardly learns from it; a lower "
                "--learning_rate, fewer --discriminator_filters or "
                "--spectral_norm may help",
            )

    def see_outputs(
        self, step: int, generator: str, inputs: np.ndarray, outputs: np.ndarray
    ) -> None:
        """Takes what a generator makes of the same examples at every call.

        Args:
            step: of the training.
            generator: its name.
            inputs: [n, H, W, 3] in [-1, 1].
            outputs: the same shape.
        """
        within = np.std(outputs, axis=(1, 2)).mean()
        between, between_inputs = (
            np.std(images, axis=0).mean() for images in (outputs, inputs)
        )
        constant = within < _SPREAD
        # Nothing is to be seen of it where the inputs are alike themselves.
        same = len(inputs) > 1 and between < _SPREAD <= between_inputs
        self._report(
            step,
            f"{generator} constant",
            constant,
            f"{generator} turns images into one flat colour (deviation within "
            f"an image {within:.2g} of a range of 2); the training has "
            "collapsed and is best begun anew with a lower --learning_rate",
        )
        self._report(
            step,
            f"{generator} same",
            same and not constant,
            f"{generator} makes the same image of every example (deviation "
            f"between them {between:.2g} of a range of 2); the training has "
            "collapsed and is best begun anew with a lower --learning_rate",
        )

    def _report(self, step: int, kind: str, holds: bool, text: str) -> None:
        if holds and kind not in self._active:
            self._warn(step, text)
        if holds:
            self._active.add(kind)
        else:
            self._active.discard(kind)


def _warn(step: int, text: str) -> None:
    line = f"warning: step {step}: {text}"
    print(line, file=sys.stderr, flush=True)
    tf.summary.text("warnings", line, step)
