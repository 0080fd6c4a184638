"""What TensorBoard shows of a CycleGAN besides its losses."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kliep_tf.cyclegan.model import CycleGAN
from kliep_tf.data import images
from kliep_tf.data.weights import effective_sample_size


class TranslationGrids:
    """Pictures of the same examples at every call, both ways.

    One row an example: original, translated, cycled back.
    """

    def __init__(
        self,
        model: CycleGAN,
        source_examples: np.ndarray,
        target_examples: np.ndarray,
    ):
        """Takes the fixed examples, uint8 [n, H, W, 3] of each domain."""
        self._model = model
        self._source = images.to_float(source_examples)
        self._target = images.to_float(target_examples)

    def write(self, step: int) -> None:
        """Writes both grids to the default summary writer."""
        for name, grid in self.draw().items():
            tf.summary.image(name, grid[None], step)

    def draw(self) -> dict[str, np.ndarray]:
        """Returns uint8 grids [n H, 3 W, 3] by direction."""
        forward = self._model.source_to_target
        backward = self._model.target_to_source
        return {
            "source_translated_cycled": _grid(self._source, forward, backward),
            "target_translated_cycled": _grid(self._target, backward, forward),
        }


def write_config(arguments: Mapping[str, Any]) -> None:
    """Writes a program's arguments as text."""
    text = json.dumps(dict(arguments), indent=2, default=str)
    block = "".join(f"    {line}\n" for line in text.splitlines())
    tf.summary.text("config", block, 0)


def write_weights(name: str, weights: np.ndarray) -> None:
    """Writes a domain's weights: histogram, ESS, largest."""
    tf.summary.histogram(f"weights/{name}", weights, 0)
    ess = effective_sample_size(weights)
    tf.summary.scalar(f"weights/{name}_ess_share", ess, 0)
    tf.summary.scalar(f"weights/{name}_max", float(np.max(weights)), 0)


def _grid(originals, translate, back) -> np.ndarray:
    rows = []
    # One example at a time: memory as for one image, whatever their number.
    for original in originals:
        translated = translate(original[None])
        cycled = back(translated)
        row = tf.concat([original[None], translated, cycled], axis=2)
        rows.append(images.to_uint8(row[0]).numpy())
    return np.concatenate(rows, axis=0)


def fixed_examples(
    encoded: Sequence[bytes], size: tuple[int, int]
) -> np.ndarray:
    """Returns uint8 [n, H, W, 3]: images decoded and resized to `size`."""
    return np.stack(
        [
            images.resize_image(images.decode_image(data), size).numpy()
            for data in encoded
        ]
    )
