"""What TensorBoard shows of a training, and warnings when it goes wrong."""

import sys
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw, ImageFont

from kliep_tf.data import images, records
from kliep_tf.data.examples import readable
from kliep_tf.data.index import RecordIndex
from kliep_tf.data.weightings import effective_sample_size
from kliep_tf.training.scalars import ScalarWriter
from kliep_tf.translation.method import Generator, TranslationModel

# Full frames would take megabytes a picture and no more be seen; a heading does
# not fit above a narrower column.
_MAX_COLUMN_WIDTH, _MIN_COLUMN_WIDTH = 512, 256
_GAP, _HEADING_HEIGHT, _FONT_SIZE = 4, 36, 24
_PAPER, _INK = 255, (0, 0, 0)
# A discriminator that cannot tell real from fake has a halved loss of 0.25
# (lsgan), 0.69 (bce) or 1 (hinge). At 0.01 it tells them apart with certainty:
# its outputs are within 0.1 of what lsgan asks for, or it says 99 %.
_DISCRIMINATOR_LOSS = 0.01
# Outputs a hundred times as far from 0 as the 0 and 1 that lsgan asks for, or
# a logit of ten thousand: no discriminator that learns gets there.
_DIVERGED_LOSS = 1e4
# The discriminator may win for a while, at first above all. A generator that
# has not answered in a twentieth of the training will hardly do so later.
_PATIENCE_SHARE = 0.05
_MIN_PATIENCE = 200
# Standard deviations, of values in [-1, 1]: a bit more than one gray level of
# 256. Images of streets have 0.3 and more, within one image as between two.
_SPREAD = 0.01
# Of values at the ends of [-1, 1]. A photograph has a few per cent of them.
_END, _SHARE_AT_ENDS = 0.99, 0.9
_BEGIN_ANEW = (
    "the training has collapsed and is best begun anew with a lower "
    "--learning_rate"
)

# What the scalars of every method are; see `kliep_tf.training.scalars`.
DESCRIPTIONS = {
    tag.format(domain): text.format(domain)
    for tag, text in (
        (
            "weights/{}_effective_share",
            "effective sample size as a share (0 to 1) of the {} images; "
            "higher means that less rests on few of them.",
        ),
        (
            "weights/{}_largest",
            "largest training weight of a {} image, the mean being 1; lower "
            "means that less rests on a single one.",
        ),
    )
    for domain in ("source", "target")
}


class TranslationGrids:
    """Pictures of the same examples at every call, both ways."""

    def __init__(
        self,
        model: TranslationModel,
        source_examples: np.ndarray,
        target_examples: np.ndarray,
        see_outputs: Callable[[int, str, np.ndarray, np.ndarray], None],
    ):
        """Takes the fixed examples.

        Args:
            model: translates them.
            source_examples: uint8 [n, H, W, 3].
            target_examples: uint8 [n, H, W, 3].
            see_outputs: is given the step, the generator's name, and its
                inputs and outputs, float32 [n, H, W, 3], at each `write`.
        """
        self._model = model
        self._source = images.to_float(source_examples).numpy()
        self._target = images.to_float(target_examples).numpy()
        self._see_outputs = see_outputs

    def write(self, step: int) -> None:
        """Writes both grids to the default summary writer."""
        to_target, to_source = self._model.export_generators
        for original, other, examples, forward, backward in (
            ("source", "target", self._source, to_target, to_source),
            ("target", "source", self._target, to_source, to_target),
        ):
            direction = f"{original}_to_{other}"
            translated = _apply(forward, examples)
            columns = {
                original: examples,
                f"translated to {other}": translated,
                f"back to {original}": _apply(backward, translated),
            }
            tf.summary.image(
                f"pictures/{direction}_and_back",
                draw_grid(columns)[None],
                step,
                description=f"One example a row: {', '.join(columns)}.",
            )
            self._see_outputs(step, direction, examples, translated)


class CollapseWatch:
    """Warns when a discriminator dominates or a network collapses.

    Each warning is given once, and again only after its cause has passed.
    """

    def __init__(
        self,
        num_steps: int,
        warn: Callable[[int, str], None] | None = None,
        advice: str = "a lower --learning_rate may help",
        loss_unit: float = 1.0,
    ):
        """Starts watching.

        Args:
            num_steps: of the training, from which the patience follows.
            warn: takes the step and a line; by default it goes to stderr and
                to TensorBoard's default writer.
            advice: what may help against a discriminator that dominates.
            loss_unit: how many times CycleGAN's halved loss of one scale the
                discriminators' losses are.
        """
        self._low_loss = _DISCRIMINATOR_LOSS * loss_unit
        self._patience = max(_MIN_PATIENCE, round(_PATIENCE_SHARE * num_steps))
        self._warn = warn or _warn
        self._advice = advice
        self._low_since: dict[str, int] = {}
        self._active: set[str] = set()

    def see_losses(self, step: int, means: Mapping[str, float]) -> None:
        """Takes the means of the losses up to `step`, by name."""
        for name, value in means.items():
            if not name.startswith("discriminator/"):
                continue
            self._report(
                step,
                f"{name} diverged",
                value > _DIVERGED_LOSS,
                f"{name} is {value:.3g}, far beyond what its outputs can be "
                f"meant for; {_BEGIN_ANEW}",
            )
            low = value < self._low_loss
            if not low:
                self._low_since.pop(name, None)
            since = self._low_since.setdefault(name, step) if low else step
            self._report(
                step,
                name,
                low and step - since >= self._patience,
                f"{name} has been below {self._low_loss:g} since step "
                f"{since}: this discriminator tells real from fake with "
                "certainty, and its generator hardly learns from it; "
                f"{self._advice}",
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
        at_ends, at_ends_inputs = (
            np.mean(np.abs(images) > _END) for images in (outputs, inputs)
        )
        constant = within < _SPREAD
        # Nothing is to be seen of it where the inputs are alike themselves.
        same = len(inputs) > 1 and between < _SPREAD <= between_inputs
        self._report(
            step,
            f"{generator} constant",
            constant,
            f"{generator} turns images into one flat colour (deviation within "
            f"an image {within:.2g} of a range of 2); {_BEGIN_ANEW}",
        )
        self._report(
            step,
            f"{generator} saturated",
            at_ends > _SHARE_AT_ENDS > at_ends_inputs and not constant,
            f"{generator} makes {at_ends:.0%} of all values black or white; "
            f"{_BEGIN_ANEW}",
        )
        self._report(
            step,
            f"{generator} same",
            same and not constant,
            f"{generator} makes the same image of every example (deviation "
            f"between them {between:.2g} of a range of 2); {_BEGIN_ANEW}",
        )

    def _report(self, step: int, kind: str, holds: bool, text: str) -> None:
        if holds and kind not in self._active:
            self._warn(step, text)
        if holds:
            self._active.add(kind)
        else:
            self._active.discard(kind)


def write_weights(name: str, weights: np.ndarray) -> None:
    """Writes a domain's training weights: histogram, ESS, largest."""
    tf.summary.histogram(
        f"weights/{name}",
        weights,
        0,
        description="Training weights after exponents; their mean is 1.",
    )
    figures = {
        f"weights/{name}_effective_share": effective_sample_size(weights),
        f"weights/{name}_largest": float(np.max(weights)),
    }
    ScalarWriter(DESCRIPTIONS).write(0, figures)


def fixed_examples(
    index: RecordIndex, number: int, size: tuple[int, int]
) -> np.ndarray:
    """Returns the first images, uint8 [n, H, W, 3].

    Args:
        index: of the records.
        number: of images, or fewer where there are fewer.
        size: (height, width) that images are resized to.
    """
    found = []
    for row in range(min(number, len(index))):
        with readable(index, row):
            encoded = records.parse_example(index.read(row))[records.ENCODED]
            image = images.decode_image(encoded)
        found.append(images.resize_image(image, size).numpy())
    return np.stack(found)


def draw_grid(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Returns one picture, uint8 [height, width, 3].

    Args:
        columns: headings, and under each the same number of images, float32
            [n, H, W, 3] in [-1, 1].
    """
    cells = [
        _fitted(images.to_uint8(column).numpy()) for column in columns.values()
    ]
    number, height, width, _ = cells[0].shape
    picture = np.full(
        (
            _HEADING_HEIGHT + number * (height + _GAP) - _GAP,
            len(cells) * (width + _GAP) - _GAP,
            3,
        ),
        _PAPER,
        np.uint8,
    )
    lefts = [index * (width + _GAP) for index in range(len(cells))]
    for left, cell in zip(lefts, cells, strict=True):
        for row, image in enumerate(cell):
            top = _HEADING_HEIGHT + row * (height + _GAP)
            picture[top : top + height, left : left + width] = image
    return _with_headings(picture, dict(zip(columns, lefts, strict=True)))


def _fitted(pixels: np.ndarray) -> np.ndarray:
    """Shrinks wide images; repeats the pixels of narrow ones, unblurred."""
    _, height, width, _ = pixels.shape
    if width > _MAX_COLUMN_WIDTH:
        height = max(1, round(height * _MAX_COLUMN_WIDTH / width))
        return images.resize_image(pixels, (height, _MAX_COLUMN_WIDTH)).numpy()
    times = -(-_MIN_COLUMN_WIDTH // width)
    return pixels.repeat(times, axis=1).repeat(times, axis=2)


def _with_headings(picture: np.ndarray, lefts: Mapping[str, int]) -> np.ndarray:
    page = Image.fromarray(picture)
    pen = ImageDraw.Draw(page)
    font = ImageFont.load_default(_FONT_SIZE)
    for heading, left in lefts.items():
        pen.text((left + _GAP, _GAP), heading, _INK, font)
    return np.asarray(page)


def _apply(generator: Generator, examples: np.ndarray) -> np.ndarray:
    # One example at a time: memory as for one image, whatever their number.
    translations = [
        generator(example[None], training=False) for example in examples
    ]
    return np.concatenate([image.numpy() for image in translations])


def _warn(step: int, text: str) -> None:
    line = f"warning: step {step}: {text}"
    print(line, file=sys.stderr, flush=True)
    tf.summary.text("warnings", line, step)
