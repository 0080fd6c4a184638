"""Segmentation networks by the name that `--network` takes.

A network is a Keras model of float32 [N, H, W, 3] images in [-1, 1] whose
output is float32 logits [N, H, W, num_classes], at any height and width. What
pretrained weights are loaded into is a layer named "backbone".
"""

from collections.abc import Callable

import keras

from kliep_tf.segmentation.deeplab import (
    deeplab_v2_resnet101,
    deeplab_v3plus_xception65,
)
from kliep_tf.segmentation.drn import drn_c_26
from kliep_tf.segmentation.tiny import tiny

Network = keras.Model

# (num_classes, seed, dtype) -> network
NETWORKS: dict[str, Callable[..., Network]] = {
    "tiny": tiny,
    "drn_c_26": drn_c_26,
    "deeplab_v3plus_xception65": deeplab_v3plus_xception65,
    "deeplab_v2_resnet101": deeplab_v2_resnet101,
}
