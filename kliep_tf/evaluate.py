"""Measures a segmenter on labelled records: IoU by class, confusion, frames.

    python -m kliep_tf.evaluate --segmenter=runs/segmenter/saved_model \
        --records='records/cityscapes/val-*' --output_dir=runs/evaluation

Any segmentation SavedModel will do: one image input, and an output of 19 class
probabilities or logits, or of train ids. Images are given to it as they are
stored. The output directory receives report.json, report.md, frames.csv and
figures; the mean IoU is that of cityscapesScripts.
"""

import dataclasses
import os
from pathlib import Path

from kliep_tf import cli, runs
from kliep_tf.data import records
from kliep_tf.data.index import build_index
from kliep_tf.data.pipeline import make_image_dataset
from kliep_tf.data.reading import equal_size_batches, read_all, require_labels
from kliep_tf.errors import UserError
from kliep_tf.progress import progress
from kliep_tf.segmentation.evaluation import (
    REPORT_MD,
    evaluate_segmenter,
    summarize,
    write_report,
)
from kliep_tf.segmentation.inference import load_segmenter


@dataclasses.dataclass(frozen=True)
class EvaluateConfig:
    """The flags of evaluate."""

    segmenter: str = cli.flag(
        "A segmentation SavedModel, such as train_segmenter's saved_model."
    )
    records: str = cli.flag("Labelled records: a directory or a glob.")
    output_dir: str = cli.flag("Where the report goes.")
    batch_size: int = cli.flag(
        "Images passed to the segmenter at once.",
        default=4,
        affects_output=False,
    )


def evaluate(config: EvaluateConfig) -> None:
    """Writes the report of one segmenter on one set of records."""
    cli.require_positive(config, "batch_size")
    paths = records.resolve_records(config.records, "records")
    index = build_index(paths)
    require_labels(paths, "records")
    segmenter = load_segmenter(config.segmenter)
    inputs = {
        "records": runs.fingerprint(paths),
        "segmenter": runs.fingerprint(_files(config.segmenter)),
    }
    with runs.claim(
        config.output_dir, "kliep_tf.evaluate", config, inputs=inputs
    ) as claim:
        report = claim.directory / REPORT_MD
        if claim.finished:
            print(f"{report}: already done")
            return
        examples = progress(
            read_all(make_image_dataset(paths), "records"),
            len(index),
            "evaluating",
            "image",
        )
        evaluation = evaluate_segmenter(
            segmenter, equal_size_batches(examples, config.batch_size)
        )
        if not evaluation.matrix.any():
            raise UserError(
                f"--records={config.records}: expected labelled pixels, found "
                f"only ignored ones in {len(index)} images"
            )
        about = {"segmenter": config.segmenter, "records": config.records}
        write_report(claim.directory, evaluation, about)
        summary = summarize(evaluation)
        figures = {
            name: summary[name] for name in ("mean_iou", "pixel_accuracy")
        }
        claim.finish(**figures)
        print(
            f"{report}: mean IoU {figures['mean_iou']:.4f}, pixel accuracy "
            f"{figures['pixel_accuracy']:.4f} over {len(index)} images"
        )


def _files(directory: str | os.PathLike) -> list[Path]:
    return [path for path in Path(directory).rglob("*") if path.is_file()]


if __name__ == "__main__":
    cli.run(evaluate, EvaluateConfig)
