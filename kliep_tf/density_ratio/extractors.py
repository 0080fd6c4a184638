"""What two domains are compared by: images become short vectors.

An extractor is a function of examples, one at a time or in batches of their
features, so that only the features stay in memory and images may have any
sizes. To add one, write the function and its lines in FEATURE_EXTRACTORS, NEEDS
and `scaling.DEFAULT_SCALING`.
"""

from collections.abc import Mapping, Sequence

from kliep_tf.data.reading import require_labels
from kliep_tf.density_ratio.embedding import embedding
from kliep_tf.density_ratio.extraction import Extractor
from kliep_tf.density_ratio.image_features import (
    segmenter_histogram,
    thumbnail,
)
from kliep_tf.density_ratio.label_features import class_histogram, layout
from kliep_tf.errors import UserError

FEATURE_EXTRACTORS: dict[str, Extractor] = {
    "segmenter_histogram": segmenter_histogram,
    "class_histogram": class_histogram,
    "layout": layout,
    "thumbnail": thumbnail,
    "embedding": embedding,
}

LABELS_OF_BOTH = "labels of both domains"

NEEDS: dict[str, str] = {
    "segmenter_histogram": "a --segmenter, or labels of the source alone",
    "class_histogram": LABELS_OF_BOTH,
    "layout": LABELS_OF_BOTH,
    "thumbnail": "nothing but the images",
    "embedding": "a local file as --embedding_weights",
}


def require_labels_for(
    features: str, records: Mapping[str, Sequence[str]]
) -> None:
    """Raises a UserError where features are of labels that are missing.

    Args:
        features: one of FEATURE_EXTRACTORS.
        records: the shards by the flag that named them.
    """
    if NEEDS[features] != LABELS_OF_BOTH:
        return
    for flag, shards in records.items():
        try:
            require_labels(shards, flag)
        except UserError as error:
            others = [
                name for name, needs in NEEDS.items() if needs != LABELS_OF_BOTH
            ]
            raise UserError(
                f"{error}; --features={features} needs {LABELS_OF_BOTH}, "
                f"{', '.join(others)} need none of the target"
            ) from None
