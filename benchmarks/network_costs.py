"""What a pass of a network costs, counted in its graph, and what a GPU takes.

No pass is run: TensorFlow traces the network at a size, and the operations of
the graph and their shapes are counted.
"""

import dataclasses
import math
from typing import NamedTuple

import tensorflow as tf

# Operations that move no pixels.
_FREE = {
    "Const",
    "Identity",
    "IdentityN",
    "Placeholder",
    "ReadVariableOp",
    "Reshape",
    "Squeeze",
}
# What an operation's gradient reads again: its inputs, its outputs.
_KEEPS_INPUTS = {
    "Conv2D",
    "DepthwiseConv2dNative",
    "FusedBatchNormV3",
    "LeakyRelu",
    "MaxPool",
    "Mul",
    "Square",
    "SquaredDifference",
}
_KEEPS_OUTPUTS = {"MaxPool", "Relu", "Tanh"}
_BYTES = 4


# Peak TFLOP/s of dense matrices, and TB/s.
GPUS = {
    "A100": {"tf32": 156.0, "bf16": 312.0, "bandwidth": 2.04},
    "H100": {"tf32": 494.7, "bf16": 989.4, "bandwidth": 3.35},
}


class Cost(NamedTuple):
    """Of work on a GPU.

    Attributes:
        flop: floating point operations of convolutions; a multiplication and
            an addition are two.
        traffic: bytes read and written by all operations on images, each
            operation for itself.
    """

    flop: float
    traffic: float

    def times(self, number: float) -> "Cost":
        """Returns the cost of so many."""
        return Cost(self.flop * number, self.traffic * number)

    def plus(self, other: "Cost") -> "Cost":
        """Returns the cost of both."""
        return Cost(self.flop + other.flop, self.traffic + other.traffic)


@dataclasses.dataclass(frozen=True)
class Machine:
    """A GPU and how much of its peaks is sustained."""

    gpu: str
    precision: str
    compute_share: float
    bandwidth_share: float

    def hours(self, cost: Cost) -> float:
        """Returns the hours that a cost takes."""
        peaks = GPUS[self.gpu]
        traffic = cost.traffic / (2 if self.precision == "bf16" else 1)
        flops = self.compute_share * peaks[self.precision] * 1e12
        bandwidth = self.bandwidth_share * peaks["bandwidth"] * 1e12
        return (cost.flop / flops + traffic / bandwidth) / 3600

    def __str__(self) -> str:
        return (
            f"{self.gpu}, {self.precision}, {self.compute_share:.0%} of the "
            f"peak of {GPUS[self.gpu][self.precision]:g} TFLOP/s, "
            f"{self.bandwidth_share:.0%} of {GPUS[self.gpu]['bandwidth']} TB/s"
        )


class Forward(NamedTuple):
    """A forward pass of one image in float32.

    Attributes:
        cost: of the pass.
        kept: bytes of activations that the gradient reads again, each tensor
            once.
    """

    cost: Cost
    kept: float


def count_forward(network, size: tuple[int, int], channels: int = 3) -> Forward:
    """Returns the cost of one image through a network as in training.

    Args:
        network: a Keras model of images [N, H, W, channels].
        size: (height, width).
        channels: of what it sees.
    """
    trace = tf.function(lambda images: network(images, training=True))
    spec = tf.TensorSpec((1, *size, channels))
    operations = trace.get_concrete_function(spec).graph.get_operations()
    flop = traffic = 0.0
    kept = {}
    for operation in operations:
        if operation.type in _FREE:
            continue
        flop += _convolution_flop(operation)
        tensors = [*operation.inputs, *operation.outputs]
        traffic += sum(map(_image_bytes, tensors))
        for tensor in _kept(operation):
            kept[_origin(tensor).name] = _image_bytes(tensor)
    return Forward(Cost(flop, traffic), sum(kept.values()))


def _convolution_flop(operation) -> float:
    # A transposed convolution is another's gradient by its input: its own
    # input takes the place of that one's output.
    if operation.type in ("Conv2D", "DepthwiseConv2dNative"):
        pixels, kernel = operation.outputs[0], operation.inputs[1]
    elif operation.type == "Conv2DBackpropInput":
        pixels, kernel = operation.inputs[2], operation.inputs[1]
    else:
        return 0.0
    return 2.0 * math.prod(pixels.shape[:3]) * math.prod(kernel.shape)


def _image_bytes(tensor) -> int:
    """Returns the bytes of a tensor [N, H, W, C], 0 for another."""
    if not tensor.dtype.is_floating or tensor.shape.rank != 4:
        return 0
    return _BYTES * math.prod(tensor.shape)


def _kept(operation) -> list:
    kept = []
    if operation.type in _KEEPS_INPUTS:
        kept += operation.inputs
    if operation.type in _KEEPS_OUTPUTS:
        kept += operation.outputs
    if operation.type == "Conv2DBackpropInput":
        kept.append(operation.inputs[2])
    return [tensor for tensor in kept if not _is_weight(tensor)]


def _is_weight(tensor) -> bool:
    return _origin(tensor).op.type in ("ReadVariableOp", "Placeholder", "Const")


def _origin(tensor):
    """Returns the tensor that is the same memory under its first name."""
    while tensor.op.type in ("Identity", "IdentityN", "Reshape", "Squeeze"):
        number = tensor.value_index if tensor.op.type == "IdentityN" else 0
        tensor = tensor.op.inputs[number]
    return tensor
