"""A network that compiles in a second, for tests of what is around it."""

import keras


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
