"""Which signature of a SavedModel segments, and how it is called."""

import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from kliep_tf.data import files
from kliep_tf.data.class_sets import CITYSCAPES_CLASSES, ClassSet
from kliep_tf.errors import UserError
from kliep_tf.json_files import parse_json
from kliep_tf.training import saved_models

# Among a SavedModel's extra assets: the classes of its outputs.
CLASSES_JSON = "classes.json"

# A signature, and its only output: float32 images [N, H, W, 3] in [-1, 1] to
# logits [N, H, W, C]. `export_segmenter` writes it.
LOGITS = "logits"

_SIGNATURE = "serving_default"


class OpenedSegmenter(NamedTuple):
    """A segmentation SavedModel, and the function in it that segments.

    Attributes:
        model: TensorFlow frees its variables with it.
        run: takes images [N, H, W, 3] of any number type, values 0..255, and
            returns the bare output at the model's own size: float
            [N, h, w, C], or integer [N, h, w] as int32.
        input_dtype: what the model takes; `run` casts to it.
        output_name: of the output, for messages.
        output_dtype: of the output.
    """

    model: tf.Module
    run: Callable[[tf.Tensor], tf.Tensor]
    input_dtype: tf.DType
    output_name: str
    output_dtype: tf.DType


def open_segmenter(
    path: str | os.PathLike, classes: ClassSet
) -> OpenedSegmenter:
    """Returns what segments in a SavedModel, whoever wrote it.

    Args:
        path: the SavedModel's directory.
        classes: of the labels that it is used with.

    Raises:
        UserError: there is no such model at `path`, it is no segmenter, or
            one of other classes.
    """
    where = os.fspath(path)
    model = saved_models.load(where)
    signature = _choose_signature(model, where)
    input_name, input_spec = _choose_input(signature, where)
    require_classes(path, classes)
    output_name = _choose_output(signature, len(classes), where)
    return OpenedSegmenter(
        model,
        _at_own_size(signature, input_name, input_spec, output_name),
        input_spec.dtype,
        output_name,
        signature.structured_outputs[output_name].dtype,
    )


def segmenter_classes(path: str | os.PathLike) -> ClassSet | None:
    """Returns the classes that a segmentation SavedModel says it has.

    Returns:
        None where it does not say: models of other programs, and those that
        this library exported before it stored them.
    """
    asset = os.path.join(
        os.fspath(path), saved_models.EXTRA_ASSETS, CLASSES_JSON
    )
    try:
        with files.reading(asset) as file:
            text = file.read()
    except FileNotFoundError:
        return None
    value = parse_json(text, asset, "the classes of a segmenter")
    return ClassSet.from_json(value, asset)


def require_classes(path: str | os.PathLike, classes: ClassSet) -> None:
    """Raises a UserError if a segmenter's classes are not those of the data."""
    own = segmenter_classes(path)
    if own is None and len(classes) == len(CITYSCAPES_CLASSES):
        own = CITYSCAPES_CLASSES
    if own is not None and own.names != classes.names:
        raise UserError(
            f"{path}: expected the {len(classes)} classes of {classes.name} "
            f"({_shown(classes)}), found a segmenter of other classes: "
            f"{len(own)} of {own.name} ({_shown(own)})"
        )


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
