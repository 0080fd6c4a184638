"""Any segmentation SavedModel as one function of images."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from kliep_tf.data import images
from kliep_tf.data.class_sets import CITYSCAPES_CLASSES, ClassSet
from kliep_tf.errors import UserError
from kliep_tf.json_files import read_json
from kliep_tf.training import saved_models

# uint8 [N, H, W, 3] -> float32 [N, H, W, C], summing to 1
Segmenter = Callable[[tf.Tensor], tf.Tensor]

# Among a SavedModel's extra assets: the classes of its outputs.
CLASSES_JSON = "classes.json"

_SIGNATURE = "serving_default"


def load_segmenter(
    path: str | os.PathLike, classes: ClassSet = CITYSCAPES_CLASSES
) -> Segmenter:
    """Returns the segmenter that a SavedModel holds, whoever wrote it.

    Its signature `serving_default`, or its only one, must take one image,
    [N, H, W, 3] of uint8 (or of another number type, which is given the values
    0..255). One output must be the segmentation: float [N, h, w, C] (class
    probabilities or logits) or integer [N, h, w] (train ids). Fixed sizes and
    batches of one are served as well; the result has the size of the images.

    Args:
        path: the SavedModel's directory.
        classes: of the labels that it is used with, C of them.

    Returns:
        A function of uint8 images [N, H, W, 3] that returns probabilities,
        float32 [N, H, W, C]. It raises a UserError where train ids fall
        outside 0..C-1 and where values are not finite.

    Raises:
        UserError: there is no such model at `path`, or it has other classes.
    """
    where = os.fspath(path)
    model = saved_models.load(where)
    signature = _choose_signature(model, where)
    input_name, input_spec = _choose_input(signature, where)
    _require_classes(segmenter_classes(path), classes, where)
    output_name = _choose_output(signature, len(classes), where)
    output = signature.structured_outputs[output_name]
    num_classes = len(classes)
    expected = "finite values"
    if output.dtype.is_integer:
        expected = f"train ids 0..{num_classes - 1}"
    run_batch = _at_own_size(signature, input_name, input_spec, output_name)

    @tf.function(
        input_signature=[tf.TensorSpec([None] * 3 + [3], tf.uint8)],
        autograph=False,
    )
    def probabilities(pixels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        raw = run_batch(pixels)
        if raw.dtype.is_integer:
            useless = tf.reduce_any((raw < 0) | (raw >= num_classes))
            shares = tf.one_hot(raw, num_classes)
        else:
            shares = _as_probabilities(tf.cast(raw, tf.float32))
            # The largest of NaNs is the first class.
            useless = tf.reduce_any(tf.math.is_nan(shares))
        shares = _resize_like(shares, pixels)
        return tf.ensure_shape(shares, [None] * 3 + [num_classes]), useless

    def segment(pixels: tf.Tensor) -> tf.Tensor:
        shares, useless = probabilities(pixels)
        if useless:
            raise UserError(
                f"{where}: expected {expected} in the output {output_name!r}, "
                "found others"
            )
        return shares

    # TensorFlow frees a SavedModel's variables with the loaded object.
    segment.model = model  # type: ignore[attr-defined]
    return segment


def segmenter_classes(path: str | os.PathLike) -> ClassSet | None:
    """Returns the classes that a segmentation SavedModel says it has.

    Returns:
        None where it does not say: models of other programs, and those that
        this library exported before it stored them.
    """
    asset = Path(path) / saved_models.EXTRA_ASSETS / CLASSES_JSON
    try:
        value = read_json(asset, "the classes of a segmenter")
    except FileNotFoundError:
        return None
    return ClassSet.from_json(value, str(asset))


def predict_labels(segmenter: Segmenter, pixels: np.ndarray) -> np.ndarray:
    """Returns uint8 [N, H, W]: the most probable train id of each pixel."""
    predictions = tf.argmax(segmenter(pixels), -1, output_type=tf.int32)
    return tf.cast(predictions, tf.uint8).numpy()


def average_views(
    segmenter: Segmenter, scales: Sequence[float], flip: bool
) -> Segmenter:
    """Returns a segmenter that averages over scaled and mirrored images.

    Test-time augmentation: the result's probabilities are the mean over views
    of each image.

    Args:
        segmenter: uint8 [N, H, W, 3] to probabilities [N, H, W, C].
        scales: factors of the images' size; (1.0,) is the image itself.
        flip: look at each scale's mirror image too.
    """
    if tuple(scales) == (1.0,) and not flip:
        return segmenter

    def averaged(pixels: tf.Tensor) -> tf.Tensor:
        size = tf.shape(pixels)[1:3]
        total = 0.0
        for scale in scales:
            view = pixels if scale == 1.0 else _scaled(pixels, size, scale)
            total += tf.image.resize(segmenter(view), size)
            if flip:
                mirrored = segmenter(tf.reverse(view, [2]))
                total += tf.image.resize(tf.reverse(mirrored, [2]), size)
        return total / float(len(scales) * (2 if flip else 1))

    return averaged


def _scaled(pixels: tf.Tensor, size: tf.Tensor, scale: float) -> tf.Tensor:
    new = tf.cast(tf.round(tf.cast(size, tf.float32) * scale), tf.int32)
    return images.resize_image(pixels, tf.maximum(new, 1))


def _choose_signature(model: Any, where: str) -> Any:
    signatures = dict(model.signatures)
    if _SIGNATURE in signatures:
        return signatures[_SIGNATURE]
    if len(signatures) != 1:
        raise UserError(
            f"{where}: expected a signature {_SIGNATURE}, found "
            f"{', '.join(sorted(signatures)) or 'none'}"
        )
    return next(iter(signatures.values()))


def _choose_input(signature: Any, where: str) -> tuple[str, tf.TensorSpec]:
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


def _choose_output(signature: Any, num_classes: int, where: str) -> str:
    outputs = signature.structured_outputs
    fitting = [
        name for name, spec in outputs.items() if _segments(spec, num_classes)
    ]
    # Of several, the richer one: probabilities before train ids.
    fitting.sort(key=lambda name: outputs[name].dtype.is_integer)
    kinds = [outputs[name].dtype.is_integer for name in fitting]
    if fitting and kinds.count(kinds[0]) == 1:
        return fitting[0]
    scores = any(
        spec.dtype.is_floating and spec.shape.rank == 4
        for spec in outputs.values()
    )
    kind = "a segmenter of other classes: " if scores and not fitting else ""
    raise UserError(
        f"{where}: expected one output of {num_classes} classes, float "
        f"[N, H, W, {num_classes}], or of train ids, integer [N, H, W], "
        f"found {kind}{_describe(outputs)}"
    )


def _segments(spec: tf.TensorSpec, num_classes: int) -> bool:
    shape, dtype = spec.shape, spec.dtype
    if dtype.is_integer:
        return shape.rank == 3 or (shape.rank == 4 and shape[3] == 1)
    return dtype.is_floating and shape.rank == 4 and shape[3] == num_classes


def _require_classes(
    own: ClassSet | None, classes: ClassSet, where: str
) -> None:
    """Raises a UserError if a segmenter's classes are not those of the data."""
    if own is None and len(classes) == len(CITYSCAPES_CLASSES):
        own = CITYSCAPES_CLASSES
    if own is not None and own.names != classes.names:
        raise UserError(
            f"{where}: expected the {len(classes)} classes of {classes.name} "
            f"({_shown(classes)}), found a segmenter of other classes: "
            f"{len(own)} of {own.name} ({_shown(own)})"
        )


def _shown(classes: ClassSet) -> str:
    names = classes.names
    return ", ".join(names if len(names) <= 3 else (*names[:2], "..."))


def _describe(specs: Mapping[str, tf.TensorSpec]) -> str:
    found = [
        f"{name}: {spec.dtype.name} {spec.shape}"
        for name, spec in sorted(specs.items())
    ]
    return "; ".join(found) or "none"


def _at_own_size(
    signature: Any,
    input_name: str,
    input_spec: tf.TensorSpec,
    output_name: str,
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the bare model: uint8 [N, H, W, 3] to [N, h, w, C] or [N, h, w].

    Images are brought to the model's size and type, and are passed one by one
    to a model made for one.
    """
    batch, height, width, _ = input_spec.shape

    def run_batch(pixels: tf.Tensor) -> tf.Tensor:
        size = tf.shape(pixels)[1:3]
        if height is not None or width is not None:
            size = [height or size[0], width or size[1]]
            # Rounded only where the model takes integers.
            pixels = tf.image.resize(pixels, size, antialias=True)
            if input_spec.dtype.is_integer:
                pixels = tf.round(pixels)
        pixels = tf.cast(pixels, input_spec.dtype)
        output = signature(**{input_name: pixels})[output_name]
        if output.dtype.is_integer:
            output = tf.cast(output, tf.int32)
            output = output[..., 0] if output.shape.rank == 4 else output
        return output

    if batch != 1:
        return run_batch

    def run_one_by_one(pixels: tf.Tensor) -> tf.Tensor:
        dtype = signature.structured_outputs[output_name].dtype
        return tf.map_fn(
            lambda image: run_batch(image[tf.newaxis])[0],
            pixels,
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


def _resize_like(shares: tf.Tensor, pixels: tf.Tensor) -> tf.Tensor:
    size = tf.shape(pixels)[1:3]
    same = tf.reduce_all(tf.shape(shares)[1:3] == size)
    return tf.cond(same, lambda: shares, lambda: tf.image.resize(shares, size))
