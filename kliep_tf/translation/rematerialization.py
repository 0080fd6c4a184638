"""Less memory for more arithmetic: activations are computed twice.

Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost".
"""

import itertools
from collections.abc import Callable

import keras
import tensorflow as tf


def rematerialize(generator: keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the generator's forward pass for training at full frames.

    Only what passes between its parts (encoder, residual blocks, decoder) is
    kept for the gradient; the activations inside a part are computed again
    when the gradient reaches it. The weights are the generator's own.

    Keras's RematScope wraps single layers, whose inputs are kept all the same:
    here that would save next to nothing.
    """
    parts = [tf.recompute_grad(part) for part in _parts(generator)]

    def forward(images: tf.Tensor) -> tf.Tensor:
        for part in parts:
            images = part(images)
        return images

    return forward


def _parts(generator: keras.Model) -> list[keras.Model]:
    """Cuts a generator before its first block and after each."""
    blocks = [
        layer
        for layer in generator.layers
        if isinstance(layer, keras.layers.Add)
    ]
    # What is added to comes first of the two.
    before_blocks = [blocks[0].input[0]] if blocks else []
    cuts = [
        generator.inputs[0],
        *before_blocks,
        *(block.output for block in blocks),
        generator.outputs[0],
    ]
    return [
        keras.Model(start, end, name=f"{generator.name}_part_{number}")
        for number, (start, end) in enumerate(itertools.pairwise(cuts))
    ]
