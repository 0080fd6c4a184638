"""Any segmentation SavedModel as one function of images."""

import os
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from kliep_tf.data.datasets import NUM_CLASSES
from kliep_tf.errors import UserError
from kliep_tf.training import saved_models

# uint8 [N, H, W, 3] -> float32 [N, H, W, NUM_CLASSES], summing to 1
Segmenter = Callable[[tf.Tensor], tf.Tensor]

_SIGNATURE = "serving_default"


def load_segmenter(path: str | os.PathLike) -> Segmenter:
    """Returns the segmenter that a SavedModel holds, whoever wrote it.

    Its signature `serving_default`, or its only one, must take one image,
    [N, H, W, 3] of uint8 (or of another number type, which is given the values
    0..255). One output must be the segmentation: float [N, h, w, 19] (class
    probabilities or logits) or integer [N, h, w] (train ids). Fixed sizes and
    batches of one are served as well; the result has the size of the images.

    Returns:
        A function of uint8 images [N, H, W, 3] that returns probabilities,
        float32 [N, H, W, 19]. It raises a UserError where train ids fall
        outside 0..18 and where values are not finite.

    Raises:
        UserError: there is no such model at `path`.
    """
    where = os.fspath(path)
    model = saved_models.load(where)
    signature = _choose_signature(model, where)
    input_name, input_spec = _choose_input(signature, where)
    output_name = _choose_output(signature, where)
    expected = "finite values"
    if signature.structured_outputs[output_name].dtype.is_integer:
        expected = f"train ids 0..{NUM_CLASSES - 1}"
    run_batch = _at_own_size(signature, input_name, input_spec, output_name)

    @tf.function(input_signature=[tf.TensorSpec([None] * 3 + [3], tf.uint8)])
    def probabilities(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        raw = run_batch(images)
        if raw.dtype.is_integer:
            useless = tf.reduce_any((raw < 0) | (raw >= NUM_CLASSES))
            shares = tf.one_hot(raw, NUM_CLASSES)
        else:
            shares = _as_probabilities(tf.cast(raw, tf.float32))
            # The largest of values that are none is the first: road.
            useless = tf.reduce_any(tf.math.is_nan(shares))
        return _resize_like(shares, images), useless

    def segment(images: tf.Tensor) -> tf.Tensor:
        # The closure also keeps the model, and so its variables, alive.
        shares, useless = probabilities(images)
        if useless:
            raise UserError(
                f"{where}: expected {expected} in the output {output_name!r}, "
                "found others"
            )
        return shares

    segment.model = model
    return segment


def predict_labels(segmenter: Segmenter, images: np.ndarray) -> np.ndarray:
    """Returns uint8 [N, H, W]: the most probable train id of each pixel."""
    predictions = tf.argmax(segmenter(images), -1, output_type=tf.int32)
    return tf.cast(predictions, tf.uint8).numpy()


def _choose_signature(
    model: tf.Module, where: str
) -> Callable[..., dict[str, tf.Tensor]]:
    signatures = dict(model.signatures)
    if _SIGNATURE in signatures:
        return signatures[_SIGNATURE]
    if len(signatures) != 1:
        raise UserError(
            f"{where}: expected a signature {_SIGNATURE}, found "
            f"{', '.join(sorted(signatures)) or 'none'}"
        )
    return next(iter(signatures.values()))


def _choose_input(signature, where: str) -> tuple[str, tf.TensorSpec]:
    inputs = signature.structured_input_signature[1]
    if len(inputs) == 1:
        name, spec = next(iter(inputs.items()))
        fits = spec.shape.rank == 4 and spec.shape[3] in (3, None)
        if fits and (spec.dtype.is_integer or spec.dtype.is_floating):
            return name, spec
    raise UserError(
        f"{where}: expected one input of images [N, H, W, 3], found "
        f"{_describe(inputs)}"
    )


def _choose_output(signature, where: str) -> str:
    outputs = signature.structured_outputs
    fitting = [name for name, spec in outputs.items() if _segments(spec)]
    # Of several, the richer one: probabilities before train ids.
    fitting.sort(key=lambda name: outputs[name].dtype.is_integer)
    kinds = [outputs[name].dtype.is_integer for name in fitting]
    if not fitting or kinds.count(kinds[0]) > 1:
        raise UserError(
            f"{where}: expected one output of {NUM_CLASSES} classes, float "
            f"[N, H, W, {NUM_CLASSES}], or of train ids, integer [N, H, W], "
            f"found {_describe(outputs)}"
        )
    return fitting[0]


def _segments(spec: tf.TensorSpec) -> bool:
    shape, dtype = spec.shape, spec.dtype
    if dtype.is_integer:
        return shape.rank == 3 or (shape.rank == 4 and shape[3] == 1)
    return dtype.is_floating and shape.rank == 4 and shape[3] == NUM_CLASSES


def _describe(specs) -> str:
    found = [
        f"{name}: {spec.dtype.name} {spec.shape}"
        for name, spec in sorted(specs.items())
    ]
    return "; ".join(found) or "none"


def _at_own_size(
    signature, input_name: str, input_spec: tf.TensorSpec, output_name: str
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the bare model: uint8 [N, H, W, 3] to [N, h, w, C] or [N, h, w].

    Images are brought to the model's size and type, and are passed one by one
    to a model made for one.
    """
    batch, height, width, _ = input_spec.shape

    def run_batch(images: tf.Tensor) -> tf.Tensor:
        size = tf.shape(images)[1:3]
        if height is not None or width is not None:
            size = [height or size[0], width or size[1]]
            # Rounded only where the model takes integers.
            images = tf.image.resize(images, size, antialias=True)
            if input_spec.dtype.is_integer:
                images = tf.round(images)
        images = tf.cast(images, input_spec.dtype)
        output = signature(**{input_name: images})[output_name]
        if output.dtype.is_integer:
            output = tf.cast(output, tf.int32)
            output = output[..., 0] if output.shape.rank == 4 else output
        return output

    if batch != 1:
        return run_batch

    def run_one_by_one(images: tf.Tensor) -> tf.Tensor:
        dtype = signature.structured_outputs[output_name].dtype
        return tf.map_fn(
            lambda image: run_batch(image[tf.newaxis])[0],
            images,
            fn_output_signature=tf.int32 if dtype.is_integer else dtype,
        )

    return run_one_by_one


def _as_probabilities(values: tf.Tensor) -> tf.Tensor:
    """Returns the values if they are probabilities, else their softmax."""
    sums = tf.reduce_sum(values, -1)
    # bfloat16 models round to 1/256; no logits pass for shares at every pixel.
    are_shares = (
        tf.reduce_all(values >= 0.0)
        & tf.reduce_all(values <= 1.0)
        & tf.reduce_all(tf.abs(sums - 1.0) < 0.02)
    )
    return tf.cond(are_shares, lambda: values, lambda: tf.nn.softmax(values))


def _resize_like(shares: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
    size = tf.shape(images)[1:3]
    same = tf.reduce_all(tf.shape(shares)[1:3] == size)
    shares = tf.cond(
        same, lambda: shares, lambda: tf.image.resize(shares, size)
    )
    return tf.ensure_shape(shares, [None, None, None, NUM_CLASSES])
