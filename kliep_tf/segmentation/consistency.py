"""Semantic consistency: do translated images still show what is labelled?

A segmenter that has learned the target's looks is applied to translated source
images and compared with the source's labels. Trees painted into the sky appear
as sky labels predicted as vegetation.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
import tensorflow as tf

from kliep_tf.data import images
from kliep_tf.data.class_sets import CITYSCAPES_CLASSES, ClassSet
from kliep_tf.data.examples import read_example
from kliep_tf.data.index import RecordIndex
from kliep_tf.errors import UserError
from kliep_tf.segmentation.inference import (
    Segmenter,
    load_segmenter,
    predict_labels,
)
from kliep_tf.segmentation.metrics import (
    confusion_matrix,
    mean_iou,
    normalize_rows,
    pixel_accuracy,
)

# What the scalars of a check are; see `kliep_tf.training.scalars`. The watched
# confusion describes its own.
DESCRIPTIONS = {
    "consistency/mean_iou": (
        "mean IoU (0 to 1) between the labels of fixed source images and what "
        "the segmenter sees in their translations; higher is better."
    ),
    "consistency/pixel_accuracy": (
        "share (0 to 1) of labelled pixels of fixed source images that the "
        "segmenter still sees as labelled in their translations; higher is "
        "better."
    ),
    "consistency_by_class/": (
        "share (0 to 1) of this class's labelled pixels still seen as it after "
        "translation; higher is better."
    ),
}

# float32 [1, H, W, 3] in [-1, 1] to the same
Translate = Callable[[tf.Tensor], tf.Tensor]


@dataclasses.dataclass(frozen=True)
class WatchedConfusion:
    """The confusion of two classes that reports single out.

    Attributes:
        label: the class as labelled.
        prediction: the class that it must not turn into.
    """

    label: str
    prediction: str

    @property
    def tags(self) -> tuple[str, str]:
        """TensorBoard's tags of the share that is kept, and is confused."""
        label = _tag(self.label)
        return (
            f"consistency/{label}_kept",
            f"consistency/{label}_to_{_tag(self.prediction)}",
        )

    @property
    def descriptions(self) -> dict[str, str]:
        """What the scalars of both tags are."""
        kept, confused = self.tags
        pixels = f"share (0 to 1) of the pixels labelled {self.label}"
        return {
            kept: f"{pixels} that the segmenter still sees as {self.label} "
            "after translation; higher is better.",
            confused: f"{pixels} that the segmenter sees as {self.prediction} "
            "after translation; lower is better.",
        }

    def is_in(self, classes: ClassSet) -> bool:
        """Whether a set has both classes; reports leave it out otherwise."""
        return {self.label, self.prediction} <= set(classes.names)

    def require(self, classes: ClassSet) -> None:
        """Raises a UserError if a pair that somebody chose is not in a set.

        Reports leave out the default, SKY_TO_VEGETATION, without an error.
        """
        if self != SKY_TO_VEGETATION:
            classes.index(self.label)
            classes.index(self.prediction)

    def kept(
        self, matrix: np.ndarray, classes: ClassSet = CITYSCAPES_CLASSES
    ) -> float:
        """Returns the share of the label's pixels still predicted as it."""
        return predicted_share(matrix, self.label, self.label, classes)

    def confused(
        self, matrix: np.ndarray, classes: ClassSet = CITYSCAPES_CLASSES
    ) -> float:
        """Returns the share of the label's pixels predicted as the other."""
        return predicted_share(matrix, self.label, self.prediction, classes)


# The paper's: where real streets show less sky than rendered ones, a CycleGAN
# paints trees into the sky.
SKY_TO_VEGETATION = WatchedConfusion("sky", "vegetation")


def semantic_consistency(
    segmenter: Segmenter,
    image_label_batches: Iterable[tuple[np.ndarray, np.ndarray]],
    classes: ClassSet = CITYSCAPES_CLASSES,
) -> np.ndarray:
    """Returns int64 [C, C]: source labels (rows) against predictions.

    Args:
        segmenter: uint8 [N, H, W, 3] to probabilities [N, H, W, C].
        image_label_batches: translated images, uint8 [N, H, W, 3], and the
            labels of their sources, uint8 [N, H, W, 1] train ids or ignored.
        classes: of the labels and of the segmenter.

    Raises:
        UserError: a label is neither a train id nor ignored, or its size is
            not the image's.
    """
    matrix = np.zeros((len(classes), len(classes)), np.int64)
    for pixels, labels in image_label_batches:
        matrix += confusion_matrix(
            np.asarray(labels)[..., 0],
            predict_labels(segmenter, pixels),
            len(classes),
            classes.ignore_label,
        )
    return matrix


def predicted_share(
    matrix: np.ndarray,
    label: str,
    prediction: str,
    classes: ClassSet = CITYSCAPES_CLASSES,
) -> float:
    """Returns the share of a class's pixels that are predicted as another.

    Args:
        matrix: [C, C], as `semantic_consistency` returns it.
        label: name of the row's class.
        prediction: name of the column's class; the same as `label` for the
            share that is kept.
        classes: of the matrix.

    Returns:
        NaN where the class is labelled nowhere.

    Raises:
        UserError: a name is none of the classes.
    """
    row = np.asarray(matrix, np.float64)[classes.index(label)]
    column = classes.index(prediction)
    total = row.sum()
    return float(row[column] / total) if total else float("nan")


def make_consistency_check(
    segmenter: str,
    source: RecordIndex,
    image_size: tuple[int, int],
    num_examples: int = 32,
    watched: WatchedConfusion = SKY_TO_VEGETATION,
) -> Callable[[Translate], Mapping[str, float]]:
    """Returns a function that measures the consistency of a generator.

    It is for a generator in training, and looks at a few fixed examples. The
    segmenter must know the target's looks (be trained on its labels, or on
    other camera images): one trained on rendered images understands a
    translation the less, the more it looks like the target.

    Args:
        segmenter: directory of a segmentation SavedModel.
        source: examples of the source domain, in part labelled. The segmenter
            must have their classes.
        image_size: (height, width) that images and labels are resized to.
        num_examples: labelled examples that are looked at, the first ones.
        watched: the confusion that is shown by name.

    Returns:
        A function that translates the examples and returns scalars by name:
        mean IoU, pixel accuracy and the watched confusion under `consistency/`,
        and under `consistency_by_class/` the share of each class's pixels that
        is still seen as that class. Classes that the examples lack are left
        out.

    Raises:
        UserError: there is no such segmenter, or no labelled example.
    """
    classes = source.classes
    watched.require(classes)
    model = load_segmenter(segmenter, classes)
    examples = _labelled_examples(source, image_size, num_examples)

    def check(translate: Translate) -> dict[str, float]:
        translations = _translated(translate, examples)
        matrix = semantic_consistency(model, translations, classes)
        return _scalars(matrix, classes, watched)

    return check


def _labelled_examples(
    source: RecordIndex, size: tuple[int, int], number: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns uint8 images [H, W, 3] and train ids [H, W, 1]."""
    found: list[tuple[np.ndarray, np.ndarray]] = []
    for row in range(len(source)):
        image, label = read_example(source, row)
        if label is None:
            continue
        found.append(
            (
                images.resize_image(image, size).numpy(),
                images.resize_label(label[..., np.newaxis], size).numpy(),
            )
        )
        if len(found) == number:
            break
    if not found:
        raise UserError(
            "--consistency_segmenter: expected source examples with labels, "
            f"found none among {len(source)}"
        )
    return found


def _translated(
    translate: Translate, examples: list[tuple[np.ndarray, np.ndarray]]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    # One at a time: memory as for one image, whatever their number.
    for image, label in examples:
        translation = translate(images.to_float(image[np.newaxis]))
        yield images.to_uint8(translation).numpy(), label[np.newaxis]


def _scalars(
    matrix: np.ndarray, classes: ClassSet, watched: WatchedConfusion
) -> dict[str, float]:
    """Returns TensorBoard's scalars of an int64 [C, C] confusion matrix."""
    scalars = {
        "consistency/mean_iou": mean_iou(matrix),
        "consistency/pixel_accuracy": pixel_accuracy(matrix),
    }
    if watched.is_in(classes):
        kept_tag, confused_tag = watched.tags
        scalars[kept_tag] = watched.kept(matrix, classes)
        scalars[confused_tag] = watched.confused(matrix, classes)
    kept = np.diag(normalize_rows(matrix))
    for name, share in zip(classes.names, kept, strict=True):
        scalars[f"consistency_by_class/{_tag(name)}"] = share
    # NaN: nothing is labelled so.
    return {
        name: float(value)
        for name, value in scalars.items()
        if not np.isnan(value)
    }


def _tag(name: str) -> str:
    return name.replace(" ", "_")
