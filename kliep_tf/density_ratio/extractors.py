"""The kinds of features that two domains can be compared by.

To add one, write its record (`extraction.Extractor`) in a file and its line
here.
"""

from kliep_tf.data.reading import require_labelled_pixels, require_labels
from kliep_tf.density_ratio.embedding import EMBEDDING
from kliep_tf.density_ratio.extraction import (
    LABELS_OF_BOTH,
    Extractor,
    Inputs,
)
from kliep_tf.density_ratio.image_features import SEGMENTER_HISTOGRAM, THUMBNAIL
from kliep_tf.density_ratio.label_features import CLASS_HISTOGRAM, LAYOUT
from kliep_tf.errors import DataError, UserError

EXTRACTORS: dict[str, Extractor] = {
    extractor.name: extractor
    for extractor in (
        SEGMENTER_HISTOGRAM,
        CLASS_HISTOGRAM,
        LAYOUT,
        THUMBNAIL,
        EMBEDDING,
    )
}


def require_inputs(extractor: Extractor, inputs: Inputs) -> None:
    """Raises a UserError where the inputs lack what the extractor needs."""
    if extractor.of_labels:
        _require_labels(extractor, inputs)
    extractor.check(inputs)


def _require_labels(extractor: Extractor, inputs: Inputs) -> None:
    for flag, shards in inputs.shards.items():
        try:
            require_labels(shards, flag)
            require_labelled_pixels(shards, flag)
        except DataError:  # damaged, which other features would not mend
            raise
        except UserError as error:
            others = [
                one.name for one in EXTRACTORS.values() if not one.of_labels
            ]
            raise UserError(
                f"{error}; --features={extractor.name} needs {LABELS_OF_BOTH}, "
                f"{', '.join(others)} need none of the target"
            ) from None
