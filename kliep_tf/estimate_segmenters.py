"""The segmenters that estimate_weights describes images with."""

import os
from collections.abc import Mapping, Sequence

from kliep_tf import runs
from kliep_tf.data.index import RecordIndex, image_sizes
from kliep_tf.data.reading import has_labels, holds_a_label
from kliep_tf.data.summaries import class_set_of, read_shard_summaries
from kliep_tf.density_ratio.extraction import ImageSize, Inputs, Network
from kliep_tf.estimate_flags import AUTO, MAX_WORKING_WIDTH, EstimateConfig
from kliep_tf.segmentation.inference import load_segmenter
from kliep_tf.segmenter_flags import TrainSegmenterConfig
from kliep_tf.train_segmenter import train_segmenter

_WORKING_MULTIPLE = 8
_SEGMENTER_DIRS = {"source": "segmenter", "target": "target_segmenter"}

Shards = Mapping[str, Sequence[str]]  # by domain


def working_size(source: RecordIndex) -> ImageSize:
    """Returns the (height, width) at which a network sees images by default."""
    height, width = max(image_sizes(source))
    scale = min(1.0, MAX_WORKING_WIDTH / width)
    height, width = (
        max(1, round(length * scale / _WORKING_MULTIPLE)) * _WORKING_MULTIPLE
        for length in (height, width)
    )
    return height, width


def offer_inputs(config: EstimateConfig, shards: Shards) -> Inputs:
    """Returns what the flags offer to an extractor; nothing is loaded yet."""

    def segmenter(size: ImageSize) -> Network:
        path = config.segmenter or train_teacher(config, "source", size)
        classes = class_set_of([*shards["source"], *shards["target"]])
        return load_segmenter(path, classes)

    possible = config.segmenter or has_labels(shards["source"])
    return Inputs(
        shards={f"{domain}_records": shards[domain] for domain in shards},
        segmenter=segmenter if possible else None,
        embedding_weights=config.embedding_weights,
        embedding_backbone=config.embedding_backbone,
    )


def train_teacher(config: EstimateConfig, teacher: str, size: ImageSize) -> str:
    """Trains a segmenter on a domain's labels; returns its SavedModel."""
    saved_model = teacher_model(config.weights_dir, teacher)
    backbone = config.segmenter_backbone
    train_segmenter(
        TrainSegmenterConfig(
            train_records=getattr(config, f"{teacher}_records"),
            run_dir=os.path.dirname(saved_model),
            labelled_only=config.features == AUTO,
            network="efficientnet_lite0" if backbone else "tiny",
            backbone_weights=backbone,
            freeze_backbone=bool(backbone),
            steps=config.segmenter_steps,
            image_height=size[0],
            image_width=size[1],
            seed=config.seed,
        )
    )
    return saved_model


def teacher_model(weights_dir: str, teacher: str) -> str:
    """Returns where the SavedModel of a domain's segmenter is or will be."""
    return os.path.join(weights_dir, _SEGMENTER_DIRS[teacher], runs.SAVED_MODEL)


def may_have_labels(paths: Sequence[str]) -> bool:
    """Whether records may be labelled, as far as their summaries tell."""
    return any(
        summary.labelled > 0 if summary is not None else holds_a_label(path)
        for path, summary in read_shard_summaries(paths).items()
    )
