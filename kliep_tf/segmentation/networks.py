"""Segmentation networks by the name that `--network` takes; their export.

A network is a Keras model of float32 [N, H, W, 3] images in [-1, 1] whose
output is float32 logits [N, H, W, num_classes], at any height and width.
Pretrained weights are loaded into its layer named "backbone".
"""

import dataclasses
import json
import os
from collections.abc import Callable

import keras
import tensorflow as tf

from kliep_tf.data import images
from kliep_tf.data.class_sets import CITYSCAPES_CLASSES, ClassSet
from kliep_tf.data.plain_paths import plain_path
from kliep_tf.errors import UserError, reason_of
from kliep_tf.segmentation.deeplab import (
    deeplab_v2_resnet101,
    deeplab_v3plus_xception65,
)
from kliep_tf.segmentation.drn import drn_c_26
from kliep_tf.segmentation.efficientnet import efficientnet_lite0
from kliep_tf.segmentation.pretrained import (
    freeze_backbone,
    freeze_normalization,
    load_backbone,
)
from kliep_tf.segmentation.signatures import CLASSES_JSON, LOGITS
from kliep_tf.segmentation.tiny import tiny
from kliep_tf.training.checkpoints import DAMAGE
from kliep_tf.training.saved_models import write_archive

# (num_classes, seed, dtype) -> network
NETWORKS: dict[str, Callable[..., keras.Model]] = {
    "tiny": tiny,
    "efficientnet_lite0": efficientnet_lite0,
    "drn_c_26": drn_c_26,
    "deeplab_v3plus_xception65": deeplab_v3plus_xception65,
    "deeplab_v2_resnet101": deeplab_v2_resnet101,
}


@dataclasses.dataclass(frozen=True)
class NetworkSettings:
    """Which network is made.

    Attributes:
        name: in NETWORKS.
        seed: of the initial weights.
        num_classes: number of logits a pixel.
        mixed_precision: compute in bfloat16.
        backbone_weights: file of the backbone's weights, or "".
        freeze_batch_norm: keep the normalisation that was loaded, from either
            file.
        freeze_backbone: keep all of the backbone that was loaded, likewise.
        checkpoint: of a training run, whose network this one starts as, or "".
    """

    name: str
    seed: int
    num_classes: int = len(CITYSCAPES_CLASSES)
    mixed_precision: bool = False
    backbone_weights: str = ""
    freeze_batch_norm: bool = False
    freeze_backbone: bool = False
    checkpoint: str = ""

    def build(self) -> keras.Model:
        """Returns the network as training begins with it."""
        dtype = "mixed_bfloat16" if self.mixed_precision else "float32"
        network = NETWORKS[self.name](self.num_classes, self.seed, dtype)
        if self.backbone_weights:
            load_backbone(network, self.backbone_weights)
        if self.checkpoint:
            _restore(network, self.checkpoint)
        if self.backbone_weights or self.checkpoint:
            if self.freeze_batch_norm:
                freeze_normalization(network)
            if self.freeze_backbone:
                freeze_backbone(network)
        return network

    def plain_copy(self, network: keras.Model) -> keras.Model:
        """Returns the network in float32 and outside of any strategy."""
        plain = NETWORKS[self.name](self.num_classes, self.seed, "float32")
        plain.set_weights(network.get_weights())
        return plain


def export_segmenter(
    network: keras.Model,
    path: str | os.PathLike,
    classes: ClassSet = CITYSCAPES_CLASSES,
) -> None:
    """Writes `network` as a SavedModel that needs nothing of this library.

    Its signature `serving_default` takes `images`, uint8 [N, H, W, 3] of any
    size, and returns `probabilities`, float32 [N, H, W, C]. Its signature
    `logits` takes `images`, float32 [N, H, W, 3] in [-1, 1], and returns
    `logits`: gradients pass through it. The classes are stored beside it, in
    assets.extra/classes.json. Nothing loads the model before it is whole.

    Args:
        network: maps float32 [N, H, W, 3] in [-1, 1] to logits [N, H, W, C].
            Made outside of any distribution strategy.
        path: the SavedModel's directory.
        classes: of its outputs, C of them.
    """
    floats = tf.TensorSpec([None, None, None, 3], tf.float32, "images")

    @tf.function(input_signature=[floats], autograph=False)
    def logits_of(values: tf.Tensor) -> tf.Tensor:
        return tf.cast(network(values, training=False), tf.float32)

    def serve(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        logits = logits_of(images.to_float(pixels))
        return {"probabilities": tf.nn.softmax(logits)}

    def logits(values: tf.Tensor) -> dict[str, tf.Tensor]:
        return {LOGITS: logits_of(values)}

    archive = keras.export.ExportArchive()
    archive.track(network)
    pixels = tf.TensorSpec(floats.shape, tf.uint8, "images")
    for name, function, inputs in (
        ("serving_default", serve, [pixels]),
        (LOGITS, logits, [floats]),
    ):
        # Keras traces an endpoint and TensorFlow its signature: each then
        # only calls what is traced here, once.
        traced = tf.function(function, input_signature=inputs, autograph=False)
        archive.add_endpoint(name, traced.get_concrete_function(), inputs)
    text = json.dumps(classes.to_json(), indent=1) + "\n"
    write_archive(archive, path, {CLASSES_JSON: text})


def _restore(network: keras.Model, path: str) -> None:
    try:
        with plain_path(path) as plain:
            status = tf.train.Checkpoint(network=network).read(plain)
        status.expect_partial().assert_existing_objects_matched()
    except DAMAGE as error:
        raise UserError(
            f"{path}: expected a segmenter of this network and of as many "
            f"classes, found another ({reason_of(error)})"
        ) from error
