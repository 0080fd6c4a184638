"""What the study of estimators compares: its flags and methods."""

import dataclasses
from collections.abc import Sequence

from kliep_tf import cli
from kliep_tf.density_ratio.options import ESTIMATORS, KERNELS, FitSettings
from kliep_tf.errors import UserError

ALL = "all"
# KLIEP without a floor: what its cross-validation chooses by itself.
FREE = "no floor"


@dataclasses.dataclass(frozen=True)
class EstimatorStudyConfig:
    """The flags of this program."""

    output_dir: str = cli.flag("where everything goes, the tables included")
    names: tuple[str, ...] = cli.flag(
        "names of pairs of domains, for the tables; without any, the known "
        "ratios of Gaussians alone are compared",
        default=(),
    )
    source_records: tuple[str, ...] = cli.flag(
        "labelled images of each pair's source: directories or globs",
        default=(),
    )
    target_records: tuple[str, ...] = cli.flag(
        "labelled images of each pair's target", default=()
    )
    source_scenes: tuple[str, ...] = cli.flag(
        "scenes.csv of each pair's source, as render_demo writes it, with true "
        "ratios; empty for a pair without",
        default=(),
    )
    target_scenes: tuple[str, ...] = cli.flag(
        "scenes.csv of each pair's target", default=()
    )
    labelled: tuple[str, ...] = cli.flag(
        "how many target images keep their labels, features for each number: "
        "of all, class shares of the labels are compared; of fewer, the target "
        "is described by a segmenter that learned from these",
        default=(ALL,),
    )
    estimators: tuple[str, ...] = cli.flag(
        f"some of {', '.join(ESTIMATORS)}", default=tuple(ESTIMATORS)
    )
    kernels: tuple[str, ...] = cli.flag(
        f"some of {', '.join(KERNELS)}", default=KERNELS
    )
    num_points: int = cli.flag(
        "points of each Gaussian; 0 leaves Gaussians out",
        default=300,
        minimum=0,
    )
    num_seeds: int = cli.flag(
        "of the folds and, for Gaussians, of the points", default=5, minimum=1
    )
    min_ess: float = cli.flag(
        "of kliep, which is compared without a floor as well",
        default=0.2,
        minimum=0,
        below=1,
    )
    segmenter_steps: int = cli.flag(
        "training steps of each segmenter", default=1200, minimum=1
    )
    seed: int = cli.flag("the first seed", default=0)


@dataclasses.dataclass(frozen=True)
class Pair:
    """The records of one pair of domains, and which labels are seen.

    Attributes:
        name: for people.
        records: source and target.
        scenes: source and target, "" where true ratios are not known.
        labelled: target images that keep their labels; None keeps all.
    """

    name: str
    records: tuple[str, str]
    scenes: tuple[str, str]
    labelled: int | None = None

    @property
    def title(self) -> str:
        """The name, and what the target is described by."""
        if self.labelled is None:
            return self.name
        return f"{self.name}, {self.labelled} target images labelled"


@dataclasses.dataclass(frozen=True)
class Method:
    """An estimator with its kernel.

    Attributes:
        estimator: one of ESTIMATORS.
        kernel: one of KERNELS; "" where the estimator has none.
        floor: whether --min_ess holds; of KLIEP alone.
    """

    estimator: str
    kernel: str = ""
    floor: bool = True

    @property
    def title(self) -> str:
        """For people, and of files."""
        parts = [self.estimator]
        if not self.floor:
            parts.append(FREE)
        if self.kernel not in ("", KERNELS[0]):
            parts.append(self.kernel)
        return ", ".join(parts)

    @property
    def is_seeded(self) -> bool:
        """Whether another seed may give another result on the same images."""
        return "seed" in ESTIMATORS[self.estimator].takes

    def settings(self, min_ess: float, seed: int) -> FitSettings:
        """Returns how it is fitted."""
        return FitSettings(
            kernel=self.kernel or KERNELS[0],
            min_ess=min_ess if self.floor else 0.0,
            seed=seed,
        )


def methods(config: EstimatorStudyConfig) -> list[Method]:
    """Returns what the flags ask for, kernel by kernel.

    Raises:
        UserError: there is no such estimator or kernel.
    """
    _require_known("estimators", config.estimators, tuple(ESTIMATORS))
    _require_known("kernels", config.kernels, KERNELS)
    found = []
    for estimator in config.estimators:
        takes = ESTIMATORS[estimator].takes
        if "kernel" not in takes:
            found.append(Method(estimator))
            continue
        for floor in (True, False) if "min_ess" in takes else (True,):
            found += [
                Method(estimator, kernel, floor) for kernel in config.kernels
            ]
    return found


def pairs(config: EstimatorStudyConfig) -> list[Pair]:
    """Returns the pairs of records, each under each number of labels.

    Raises:
        UserError: the flags of pairs are not of one length, or a number of
            labelled images is none.
    """
    number = len(config.names)
    flags = {"source_records": True, "target_records": True}
    flags |= {"source_scenes": False, "target_scenes": False}
    for flag, required in flags.items():
        found = len(getattr(config, flag))
        if found != number and (required or found):
            raise UserError(
                f"--{flag}={','.join(getattr(config, flag))}: expected one for "
                f"each of the {number} --names, found {found}"
            )
    none = ("",) * number
    columns = (
        config.names,
        config.source_records,
        config.target_records,
        config.source_scenes or none,
        config.target_scenes or none,
    )
    return [
        Pair(name, (source, target), (source_scenes, target_scenes), labelled)
        for name, source, target, source_scenes, target_scenes in zip(
            *columns, strict=True
        )
        for labelled in map(_labelled, config.labelled)
    ]


def _labelled(text: str) -> int | None:
    if text == ALL:
        return None
    if not text.isdigit() or not int(text):
        raise UserError(
            f"--labelled={text}: expected {ALL} or a number above 0"
        )
    return int(text)


def _require_known(
    flag: str, asked: Sequence[str], known: Sequence[str]
) -> None:
    for name in asked:
        if name not in known:
            raise UserError(
                f"--{flag}={','.join(asked)}: expected some of "
                f"{', '.join(known)}, found {name!r}"
            )
