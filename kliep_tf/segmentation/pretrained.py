"""Published weights of a backbone, from a local file.

Five formats, told apart by the path:

- `*.weights.h5`: what Keras's `save_weights` writes of the layer "backbone".
- A TensorFlow checkpoint's prefix (`x65/model.ckpt`): Xception-65 of
  tensorflow/models, research/deeplab.
- `*.pth`, `*.safetensors`: a PyTorch state dict of fyu/drn, of torchvision's
  ResNet-101, or of EfficientNet-Lite0 with lukemelas' names.
- `*.npz`: the same, its arrays by name.

The networks' layers bear the published names, so the map is a rule and no
table; other names in the file, such as a classifier's, are left out.
"""

import os
from collections.abc import Mapping

import keras
import numpy as np

from kliep_tf.data.tensors import read_tensors
from kliep_tf.errors import UserError
from kliep_tf.segmentation.optimizers import backbone_of, leaf_layers

_SLIM_NORM = ".BatchNorm"


def load_backbone(
    network: keras.Model,
    path: str | os.PathLike,
    flag: str = "backbone_weights",
) -> None:
    """Sets every weight of the network's backbone from a file.

    Args:
        network: with a layer named "backbone".
        path: see the module's docstring.
        flag: that named the file, for messages.

    Raises:
        UserError: the network has no backbone, or the file does not hold every
            weight of it in the right shape.
    """
    path = os.fspath(path)
    where = f"--{flag}={path}"
    backbone = backbone_of(network)
    if backbone is None:
        raise UserError(
            f"{where}: expected a network with a backbone, found "
            f"--network={network.name}"
        )
    if path.endswith(".weights.h5"):
        _load_keras(backbone, path, where)
        return
    tensors = read_tensors(path)
    layers = [layer for layer in leaf_layers(backbone) if layer.weights]
    slim = any(layer.name.endswith(_SLIM_NORM) for layer in layers)
    name_of = _slim_names if slim else _torch_names
    prefix = _common_prefix(tensors, name_of(layers[0])[0], where)
    for layer in layers:
        arrays = [
            _find(tensors, prefix + name, where) for name in name_of(layer)
        ]
        if not slim:
            arrays = [_from_torch(layer, array) for array in arrays]
        _set_weights(layer, arrays, where)


def freeze_normalization(network: keras.Model) -> None:
    """Keeps the backbone's batch normalisation as it is, in training too.

    To be called before the optimizer is built.
    """
    for layer in leaf_layers(backbone_of(network)):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False


def freeze_backbone(network: keras.Model) -> None:
    """Leaves the backbone as it is, so that the head alone is trained.

    To be called before the optimizer is built.
    """
    backbone = backbone_of(network)
    if backbone is not None:
        backbone.trainable = False


def _load_keras(backbone: keras.Model, path: str, where: str) -> None:
    try:
        backbone.load_weights(path)
    except (OSError, ValueError, KeyError) as error:
        reason = (str(error).strip().splitlines() or ["unreadable"])[0]
        raise UserError(
            f"{where}: expected the weights of this network's backbone, "
            f"found others ({reason})"
        ) from error


def _torch_names(layer: keras.layers.Layer) -> list[str]:
    """Names in a PyTorch state dict, in the order of `layer.weights`."""
    parts = ["weight"]
    if isinstance(layer, keras.layers.BatchNormalization):
        parts += ["bias", "running_mean", "running_var"]
    return [f"{layer.name}.{part}" for part in parts]


def _slim_names(layer: keras.layers.Layer) -> list[str]:
    """Names in a checkpoint of TF-slim, in the order of `layer.weights`."""
    parts = ["weights"]
    if isinstance(layer, keras.layers.BatchNormalization):
        parts = ["gamma", "beta", "moving_mean", "moving_variance"]
    elif isinstance(layer, keras.layers.DepthwiseConv2D):
        parts = ["depthwise_weights"]
    scope = layer.name.replace(".", "/")
    return [f"{scope}/{part}" for part in parts]


def _common_prefix(
    tensors: Mapping[str, np.ndarray], name: str, where: str
) -> str:
    """Returns what stands before the names, such as "xception_65/"."""
    found = [key for key in tensors if key.endswith(name)]
    if not found:
        raise UserError(
            f"{where}: expected an array {name}, found "
            f"{', '.join(sorted(tensors)[:3]) or 'none'}"
        )
    # conv1.weight is also the end of layer1.0.conv1.weight.
    return min(found, key=len).removesuffix(name)


def _find(
    tensors: Mapping[str, np.ndarray], name: str, where: str
) -> np.ndarray:
    if name not in tensors:
        raise UserError(f"{where}: expected an array {name}, found none")
    return tensors[name]


def _from_torch(layer: keras.layers.Layer, array: np.ndarray) -> np.ndarray:
    """[filters, channels, H, W] becomes [H, W, channels, filters].

    Of a depthwise convolution [channels, 1, H, W] becomes [H, W, channels, 1].
    """
    if array.ndim != 4:
        return array
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return array.transpose(2, 3, 0, 1)
    return array.transpose(2, 3, 1, 0)


def _set_weights(
    layer: keras.layers.Layer, arrays: list[np.ndarray], where: str
) -> None:
    for weight, array in zip(layer.weights, arrays, strict=True):
        if tuple(weight.shape) != array.shape:
            raise UserError(
                f"{where}: expected {layer.name} of shape "
                f"{list(weight.shape)}, found {list(array.shape)}"
            )
    layer.set_weights(arrays)
