"""The toy's report: Table II with intervals, and what differs pair by pair."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from kliep_tf.experiments.reporting.pages import Block, Paragraph, Table
from kliep_tf.experiments.reporting.statistics import (
    Comparison,
    Interval,
    compare,
    interval,
)
from kliep_tf.experiments.reporting.templates import Texts
from kliep_tf.experiments.toy_study.distances import exact_source_measures

Seeds = Sequence[Mapping[str, Any]]  # what `seed.run_seed` returned

ROWS = {
    "source": "source",
    "weighted_source": "source under w",
    "vanilla": "vanilla GAN",
    "kliep": "KLIEP GAN",
    "kliep_weighted": "KLIEP GAN under w",
}
MEASURES = {
    "mean": "mu",
    "std": "sigma",
    "wasserstein": "Wasserstein",
    "energy": "energy",
}
DISTANCES = ("wasserstein", "energy")


class Paired(NamedTuple):
    """How a KLIEP GAN differs from the vanilla GAN, over the seeds.

    Attributes:
        difference: of the distances, KLIEP minus vanilla; Student's t.
        relative: the mean difference as a share of the vanilla GAN's mean.
        median: of the differences.
        wilcoxon: p of the signed-rank test, two-sided; NaN below two pairs or
            where all are equal.
        better: number of seeds with a smaller distance.
    """

    difference: Comparison
    relative: float
    median: float
    wilcoxon: float
    better: int


def measures_by_row(seeds: Seeds) -> dict[str, dict[str, list[float]]]:
    """Returns by row and measure the values of all seeds."""
    rows = {
        "source": [seed["source"] for seed in seeds],
        "weighted_source": [s["kliep"][0]["weighted_source"] for s in seeds],
        "vanilla": [seed["vanilla"] for seed in seeds],
        "kliep": [seed["kliep"][0]["plain"] for seed in seeds],
        "kliep_weighted": [seed["kliep"][0]["weighted"] for seed in seeds],
    }
    return {
        row: {key: [seed[key] for seed in found] for key in MEASURES}
        for row, found in rows.items()
    }


def pair(values: Sequence[float], vanilla: Sequence[float]) -> Paired:
    """Returns how `values` differ from `vanilla`, seed by seed."""
    differences = np.subtract(values, vanilla)
    wilcoxon = np.nan
    if len(differences) > 1 and differences.any():
        wilcoxon = float(stats.wilcoxon(differences).pvalue)
    return Paired(
        compare(values, vanilla),
        float(differences.mean() / np.mean(vanilla)),
        float(np.median(differences)),
        wilcoxon,
        int((differences < 0).sum()),
    )


def collapsed(seeds: Seeds, distances: Sequence[float]) -> int:
    """Counts GANs farther from the target than their untouched source."""
    limits = [seed["source"]["wasserstein"] for seed in seeds]
    # NaN, of a training that diverged, counts too.
    return int((~(np.asarray(distances) < limits)).sum())


def reading_numbers(seeds: Seeds) -> dict[str, Any]:
    """Returns what toy.json holds of one reading."""
    rows = measures_by_row(seeds)
    return {
        "rows": rows,
        "paired": {
            row: {
                key: pair(rows[row][key], rows["vanilla"][key])._asdict()
                for key in DISTANCES
            }
            for row in ("kliep", "kliep_weighted")
        },
        "collapsed": {
            row: collapsed(seeds, rows[row]["wasserstein"])
            for row in ("vanilla", "kliep", "kliep_weighted")
        },
        "weights": [seed["kliep"][0]["weights"] for seed in seeds],
        "losses": [seed["losses"] for seed in seeds],
        "seconds": [seed["seconds"] for seed in seeds],
        "cpu_seconds": [seed["cpu_seconds"] for seed in seeds],
    }


def describe_reading(seeds: Seeds) -> list[Block]:
    """Returns what the page says: the table, pairs, weights and speed."""
    numbers, say = reading_numbers(seeds), Texts("toy").say
    weights = numbers["weights"]
    mean = {
        key: np.mean([each[key] for each in weights])
        for key, value in weights[0].items()
        if not isinstance(value, str)
    }
    decided = sorted({each["decided_by"] for each in weights})
    gap = max(each["duality_gap"] for each in weights)
    wall, cpu = (
        {
            part: np.median([each[part] for each in numbers[clock]])
            for part in ("training", "weights")
        }
        for clock in ("seconds", "cpu_seconds")
    )
    return [
        _table_two(numbers),
        Paragraph(say("seeds", len(seeds), numbers["collapsed"])),
        Paragraph("Differences seed by seed:"),
        _pairs(numbers, len(seeds)),
        Paragraph(say("weights", mean, decided, gap)),
        Paragraph(say("speed", wall, cpu)),
    ]


def _table_two(numbers: Mapping[str, Any]) -> Table:
    exact = exact_source_measures()._asdict()
    lines = [
        ["U[0, 10) itself", *(f"{exact[key]:.3f}" for key in MEASURES)]
        + ["", ""]
    ]
    for row, found in numbers["rows"].items():
        cells = [_shown_interval(interval(found[key])) for key in MEASURES]
        cells += [_shown(np.median(found[key])) for key in DISTANCES]
        lines.append([ROWS[row], *cells])
    header = ["", *MEASURES.values(), "W, median", "energy, median"]
    return Table(header, lines)


def _pairs(numbers: Mapping[str, Any], count: int) -> Table:
    header = [
        "minus vanilla GAN",
        "distance",
        "mean difference",
        "of vanilla",
        "median",
        "p, t-test",
        "p, Wilcoxon",
        "smaller in",
    ]
    lines = []
    for row, found in numbers["paired"].items():
        for key, paired in found.items():
            difference, p_value = paired["difference"]
            lines.append(
                [
                    ROWS[row],
                    MEASURES[key],
                    _shown_interval(difference, "+.3f"),
                    _shown(100 * paired["relative"], "+.0f", " %"),
                    _shown(paired["median"], "+.3f"),
                    _shown(p_value, ".2g"),
                    _shown(paired["wilcoxon"], ".2g"),
                    f"{paired['better']} of {count}",
                ]
            )
    return Table(header, lines)


def _shown_interval(found: Interval, form: str = ".3f") -> str:
    """Returns the mean, and its interval where there is more than one seed."""
    mean = _shown(found.mean, form)
    if np.isnan(found.half_width):
        return mean
    return f"{mean} ± {found.half_width:.3f}"


def _shown(value: float, form: str = ".3f", unit: str = "") -> str:
    """Returns a number, "-" where a training that diverged leaves none."""
    return "-" if np.isnan(value) else f"{value:{form}}{unit}"
