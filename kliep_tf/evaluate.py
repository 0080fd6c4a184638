"""Measures a segmenter on labelled records: IoU by class, confusion, images.

    python -m kliep_tf.evaluate --segmenter=runs/segmenter/saved_model \\
        --records='records/cityscapes/val-*' --output_dir=runs/evaluation

Any segmentation SavedModel will do: one image input, and an output of class
probabilities or logits, or of train ids; its classes must be those of the
records. Images are given to it as they are stored, or at --scales of that;
scores count at the labels' resolution and are those of cityscapesScripts. The
output directory receives report.json, report.md, frames.csv, plots, and
frames.npz, the confusion matrix of every image. The same command again
continues an interrupted evaluation.
"""

import dataclasses
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from kliep_tf import cli, fingerprints, runs
from kliep_tf.data import confusions, records
from kliep_tf.data.class_sets import ClassSet
from kliep_tf.data.confusions import FrameConfusions
from kliep_tf.data.index import RecordIndex, build_index
from kliep_tf.data.pipeline import make_image_dataset
from kliep_tf.data.png import encode_png
from kliep_tf.data.reading import equal_size_batches, read_all, require_labels
from kliep_tf.errors import UserError
from kliep_tf.json_files import Maybe, read_json
from kliep_tf.progress import ProgressBar
from kliep_tf.segmentation.consistency import (
    SKY_TO_VEGETATION,
    WatchedConfusion,
)
from kliep_tf.segmentation.evaluation import (
    Evaluation,
    WritePrediction,
    count_images,
    show_images,
    summarize,
)
from kliep_tf.segmentation.inference import (
    Segmenter,
    average_views,
    load_segmenter,
)
from kliep_tf.segmentation.report import (
    MEASURES,
    REPORT_JSON,
    REPORT_MD,
    write_report,
)

PROGRAM = "kliep_tf.evaluate"
FRAMES_NPZ = "frames.npz"
PREDICTIONS = "predictions"

_PARTIAL = "partial.npz"
_SECONDS_BETWEEN_SAVES = 20.0
_NUM_SHOWN = 3

# What must be alike for figures to stand beside each other.
_SAME_AS_CEILING = ("scales", "flip", "watched_label", "watched_prediction")
# What the report shows of --ceiling.
_CEILING = {
    "records": Maybe(str),
    **{key: Maybe(float) for key in MEASURES.values()},
    "watched_confusion": Maybe(
        {"kept": Maybe(float), "confused": Maybe(float)}
    ),
}


@dataclasses.dataclass(frozen=True)
class EvaluateConfig:
    """The flags of evaluate."""

    segmenter: str = cli.flag(
        "a segmentation SavedModel, such as train_segmenter's saved_model",
        read_as="segmenter",
        from_store=True,
    )
    records: str = cli.flag(
        "labelled records: a directory or a glob",
        read_as="records",
        from_store=True,
    )
    output_dir: str = cli.flag("where the report goes", mirrored="output")
    scales: tuple[str, ...] = cli.flag(
        "sizes at which the segmenter sees each image, as factors of the "
        "stored one; the probabilities are averaged",
        default=("1",),
    )
    flip: bool = cli.flag(
        "average over each image and its mirror image too", default=False
    )
    write_predictions: bool = cli.flag(
        "write predictions/NAME_pred.png in the dataset's own label ids; those "
        "of Cityscapes are what its server and cityscapesScripts take",
        default=False,
    )
    watched_label: str = cli.flag(
        "the class whose confusion with --watched_prediction the report shows",
        default=SKY_TO_VEGETATION.label,
    )
    watched_prediction: str = cli.flag(
        "the class that --watched_label must not be predicted as",
        default=SKY_TO_VEGETATION.prediction,
    )
    ceiling: str = cli.flag(
        "output directory of evaluate for the same segmenter on untranslated "
        "images: its scores are shown beside, as the most to expect",
        default="",
        read_as="ceiling",
        mirrored="input",
    )
    batch_size: int = cli.flag(
        "images passed to the segmenter at once",
        default=4,
        affects_output=False,
        minimum=1,
    )


def evaluate(config: EvaluateConfig) -> None:
    """Writes the report of one segmenter on one set of records."""
    cli.check(config)
    scales = _scales(config)
    paths = records.resolve_records(config.records, "records")
    index = build_index(paths)
    require_labels(paths, "records")
    classes = index.classes
    watched = WatchedConfusion(config.watched_label, config.watched_prediction)
    watched.require(classes)
    segmenter = load_segmenter(config.segmenter, classes)
    segmenter = average_views(segmenter, scales, config.flip)
    inputs = {
        "records": fingerprints.of(paths),
        "segmenter": fingerprints.of(fingerprints.files_of(config.segmenter)),
    }
    ceiling = _ceiling(config, inputs["segmenter"])
    if ceiling:
        inputs["ceiling"] = fingerprints.of([_report_of(config.ceiling)])
    with runs.claim(config.output_dir, PROGRAM, config, inputs=inputs) as claim:
        report = claim.directory / REPORT_MD
        if claim.finished and report.exists():
            print(f"{report}: already done")
            return
        frames = _count(config, segmenter, index, claim.directory)
        evaluation = Evaluation(frames, classes, watched)
        if not evaluation.matrix.any():
            raise UserError(
                f"--records={config.records}: expected labelled pixels, found "
                f"only ignored ones in {len(index)} images"
            )
        best, worst = (
            show_images(segmenter, index, names)
            for names in evaluation.extremes(_NUM_SHOWN)
        )
        about = {"segmenter": config.segmenter, "records": config.records}
        write_report(claim.directory, evaluation, best, worst, about, ceiling)
        confusions.save_confusions(claim.directory / FRAMES_NPZ, frames)
        (claim.directory / _PARTIAL).unlink(missing_ok=True)
        summary = summarize(evaluation)
        iou, accuracy = summary["mean_iou"], summary["pixel_accuracy"]
        claim.finish(mean_iou=iou, pixel_accuracy=accuracy)
        print(
            f"{report}: mean IoU {iou:.4f}, pixel accuracy {accuracy:.4f} over "
            f"{len(index)} images"
        )


def _count(
    config: EvaluateConfig,
    segmenter: Segmenter,
    index: RecordIndex,
    directory: Path,
) -> FrameConfusions:
    """Returns every image's matrix; continues what an earlier run counted."""
    partial = directory / _PARTIAL
    parts = [confusions.load_confusions(partial)] if partial.exists() else []
    done = sum(map(len, parts))
    dataset = make_image_dataset(index.paths).skip(done)
    batches = equal_size_batches(
        read_all(dataset, "records", index.paths), config.batch_size
    )
    write = None
    if config.write_predictions:
        write = _prediction_writer(directory / PREDICTIONS, index.classes)
    saved = time.monotonic()
    with ProgressBar(len(index), "evaluating", "image", done) as bar:
        for part in count_images(segmenter, batches, index.classes, write):
            parts.append(part)
            bar.update(len(part))
            if time.monotonic() - saved > _SECONDS_BETWEEN_SAVES:
                parts = [confusions.join(parts)]
                confusions.save_confusions(partial, parts[0])
                saved = time.monotonic()
    return confusions.join(parts)


def _ceiling(
    config: EvaluateConfig, segmenter_fingerprint: str
) -> dict[str, Any] | None:
    """Returns report.json of --ceiling, None without the flag."""
    if not config.ceiling:
        return None
    where = f"--ceiling={config.ceiling}"
    record = runs.read_config(config.ceiling)
    if record["program"] != PROGRAM or record.get("status") != "complete":
        raise UserError(f"{where}: expected a finished output of {PROGRAM}")
    if not runs.is_input(segmenter_fingerprint, record, "segmenter"):
        raise UserError(
            f"{where}: expected an evaluation of the same segmenter, found one "
            f"of {record['arguments'].get('segmenter')}"
        )
    for flag in _SAME_AS_CEILING:
        asked, found = getattr(config, flag), record["arguments"].get(flag)
        if isinstance(asked, tuple):
            asked = list(asked)  # as JSON has it
        if asked != found:
            raise UserError(
                f"{where}: expected an evaluation with --{flag}={asked}, "
                f"found {found}"
            )
    return read_json(
        _report_of(config.ceiling), "the report that evaluate writes", _CEILING
    )


def _report_of(directory: str) -> Path:
    return Path(directory) / REPORT_JSON


def _prediction_writer(directory: Path, classes: ClassSet) -> WritePrediction:
    directory.mkdir(exist_ok=True)
    raw_ids = classes.raw_ids()

    def write(name: str, prediction: np.ndarray) -> None:
        if os.path.basename(name) != name:
            raise UserError(
                f"--write_predictions: expected filenames without folders, "
                f"found {name!r}"
            )
        path = directory / f"{name}_pred.png"
        runs.write_atomically(path, encode_png(raw_ids[prediction]))

    return write


def _scales(config: EvaluateConfig) -> tuple[float, ...]:
    try:
        scales = tuple(float(scale) for scale in config.scales)
    except ValueError:
        scales = ()
    if not scales or not all(0 < scale < float("inf") for scale in scales):
        raise UserError(
            f"--scales={','.join(config.scales)}: expected numbers above 0, "
            "such as 0.75,1,1.25"
        )
    return scales


if __name__ == "__main__":
    cli.run(evaluate, EvaluateConfig)
