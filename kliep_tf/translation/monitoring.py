"""What TensorBoard shows of a CycleGAN besides its losses."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from kliep_tf.data import images, records
from kliep_tf.data.index import RecordIndex
from kliep_tf.data.reading import readable
from kliep_tf.data.weights import effective_sample_size
from kliep_tf.training.scalars import ScalarWriter
from kliep_tf.translation.grids import draw_grid
from kliep_tf.translation.methods.cyclegan.model import CycleGAN
from kliep_tf.translation.networks import SIZE_MULTIPLE


class TranslationGrids:
    """Pictures of the same examples at every call, both ways."""

    def __init__(
        self,
        model: CycleGAN,
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
        to_target, to_source = self._model.shown_generators
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
    ScalarWriter().write(0, figures)


def fixed_examples(
    index: RecordIndex, number: int, size: tuple[int, int]
) -> np.ndarray:
    """Returns the first images, uint8 [n, H, W, 3].

    Args:
        index: of the records.
        number: of images, or fewer where there are fewer.
        size: (height, width), made a multiple of what generators ask for.
    """
    height, width = (length // SIZE_MULTIPLE * SIZE_MULTIPLE for length in size)
    found = []
    for row in range(min(number, len(index))):
        with readable(index, row):
            encoded = records.parse_example(index.read(row))[records.ENCODED]
            image = images.decode_image(encoded)
        found.append(images.resize_image(image, (height, width)).numpy())
    return np.stack(found)


def _apply(generator: Callable, examples: np.ndarray) -> np.ndarray:
    # One example at a time: memory as for one image, whatever their number.
    made = [generator(example[None], training=False) for example in examples]
    return np.concatenate([image.numpy() for image in made])
