"""What the study of target labels compares: its flags and rows."""

import dataclasses
from pathlib import Path

from kliep_tf import cli
from kliep_tf.errors import UserError

ALL = "all"


@dataclasses.dataclass(frozen=True)
class LabelStudyConfig:
    """The flags of this program."""

    output_dir: str = cli.flag("where everything goes, the tables included")
    source_records: str = cli.flag(
        "labelled images: a directory or a glob",
        read_as="source records",
    )
    target_records: str = cli.flag(
        "labelled images; the labels are hidden from the estimates but for "
        "those of --labelled images, and judge all of them",
        read_as="target records",
    )
    source_scenes: str = cli.flag(
        "scenes.csv of the source, as render_demo writes it, with true ratios",
        default="",
    )
    target_scenes: str = cli.flag("scenes.csv of the target", default="")
    labelled: tuple[str, ...] = cli.flag(
        "how many target images keep their labels, a row each; all keeps them "
        "all, 0 none",
        default=(ALL, "0", "5", "10", "20", "50", "100"),
    )
    num_draws: int = cli.flag(
        "how often labelled images are drawn for a row, their segmenter with "
        "another seed each time",
        default=2,
    )
    segmenter_backbone: str = cli.flag(
        "weights of EfficientNet-Lite0, as estimate_weights takes them",
        default="",
    )
    segmenters: tuple[str, ...] = cli.flag(
        "SavedModels of segmenters, a row each: the source is described by its "
        "labels, the target, whose labels are all hidden, by what they predict",
        default=(),
    )
    segmenter_steps: int = cli.flag(
        "training steps of each segmenter", default=1200
    )
    min_ess: float = cli.flag("as estimate_weights takes it", default=0.2)
    seed: int = cli.flag("of the draws and the segmenters", default=0)


@dataclasses.dataclass(frozen=True)
class Row:
    """One estimate.

    Attributes:
        name: unique; directories are named by it.
        title: for people.
        features: as estimate_weights takes it.
        labelled: target images that keep their labels; None keeps all.
        draw: which of them.
        segmenter_of: the row whose segmenter of the source is used again.
        segmenter: a SavedModel that is given.
    """

    name: str
    title: str
    features: str = "auto"
    labelled: int | None = 0
    draw: int = 0
    segmenter_of: str = ""
    segmenter: str = ""


# Both domains described by a segmenter of the source, as it used to be.
BOTH_PREDICTED = Row(
    "0-both", "none: source's segmenter on both sides", "segmenter_histogram"
)
SOURCE_BY_LABELS = Row(
    "0",
    "none: source by labels, target by that segmenter",
    segmenter_of=BOTH_PREDICTED.name,
)


def rows(config: LabelStudyConfig) -> list[Row]:
    """Returns the rows that the flags ask for.

    Raises:
        UserError: a number of labelled images is none.
    """
    cli.require_positive(config, "num_draws", "segmenter_steps")
    found = []
    for text in config.labelled:
        if text == ALL:
            found.append(Row(ALL, "all", labelled=None))
            continue
        if not text.isdigit():
            raise UserError(
                f"--labelled={','.join(config.labelled)}: expected numbers and "
                f"{ALL}, found {text!r}"
            )
        number = int(text)
        if not number:
            found += [BOTH_PREDICTED, SOURCE_BY_LABELS]
            continue
        found += [
            Row(f"{number}-{draw}", f"{number}", labelled=number, draw=draw)
            for draw in range(config.num_draws)
        ]
    return found + [
        _given(number, path) for number, path in enumerate(config.segmenters)
    ]


def _given(number: int, path: str) -> Row:
    """Returns the row of a SavedModel, which its run directory names."""
    run = Path(path).resolve().parent.name
    return Row(f"given-{number}", f"none: {run}", segmenter=path)
