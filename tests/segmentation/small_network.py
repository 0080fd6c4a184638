"""Networks that compile in a second, for tests of the code around them."""

from pathlib import Path

import keras

from kliep_tf.segmentation.layers import CountedDropout, LayerFactory
from kliep_tf.train_segmenter import TrainSegmenterConfig


def small(num_classes: int, seed: int, dtype: str = "float32") -> keras.Model:
    """Two convolutions and a group normalisation."""
    return keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Conv2D(
                8,
                3,
                padding="same",
                kernel_initializer=keras.initializers.HeNormal(seed),
                dtype=dtype,
            ),
            keras.layers.GroupNormalization(2, dtype=dtype),
            keras.layers.ReLU(dtype=dtype),
            keras.layers.Conv2D(
                num_classes,
                1,
                kernel_initializer=keras.initializers.HeNormal(seed + 1),
                dtype=dtype,
            ),
        ]
    )


def normalized(
    num_classes: int, seed: int, dtype: str = "float32"
) -> keras.Model:
    """A backbone with batch normalisation, as the published networks have."""
    make = LayerFactory(seed, dtype)
    inner = keras.Input((None, None, 3))
    x = make.convolve(inner, 4, 3, "conv1")
    x = make.relu(make.normalize(x, "bn1"), "layer3")
    x = make.convolve(x, 4, 3, "conv2")
    backbone = keras.Model(inner, x, name="backbone")
    image = keras.Input((None, None, 3))
    logits = make.convolve(backbone(image), num_classes, 1, use_bias=True)
    # Off, but with the state that a continued run needs.
    logits = CountedDropout(0.0, seed)(logits)
    return keras.Model(image, logits, name="normalized")


# For `--network`.
NETWORKS = {"small": small, "normalized": normalized}


def run_config(
    train_records: Path, run_dir: Path, /, **changes
) -> TrainSegmenterConfig:
    """A run of four steps of `normalized`, with a checkpoint every two."""
    defaults = {
        "train_records": str(train_records),
        "run_dir": str(run_dir),
        "network": "normalized",
        "steps": 4,
        "batch_size": 2,
        "checkpoint_every": 2,
    }
    return TrainSegmenterConfig(**defaults | changes)
