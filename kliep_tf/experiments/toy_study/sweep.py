"""What other networks, rates and kernel widths do to the toy."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kliep_tf.experiments.reporting.pages import Table
from kliep_tf.experiments.toy_study.gan import GanSettings
from kliep_tf.experiments.toy_study.report import Seeds, collapsed


def networks_table(
    found: Mapping[str, Seeds], settings: Mapping[str, GanSettings]
) -> Table:
    """Returns one line for each of the settings.

    Args:
        found: by setting, what `seed.run_seed` returned for each seed.
        settings: by the same names.
    """
    header = [
        "hidden layers",
        "rate of generator",
        "rate of discriminator",
        "vanilla: Wasserstein",
        "collapsed",
        "KLIEP: Wasserstein",
        "under w",
    ]
    lines = []
    for name, seeds in found.items():
        own = settings[name]
        vanilla = [seed["vanilla"]["wasserstein"] for seed in seeds]
        lines.append(
            [
                f"{own.hidden_layers} of {own.hidden_units}",
                f"{own.generator_rate:g}",
                f"{own.discriminator_rate:g}",
                _median_and_range(vanilla),
                f"{collapsed(seeds, vanilla)} of {len(seeds)}",
                *_kliep_distances(seeds, 0),
            ]
        )
    return Table(header, lines)


def widths_table(seeds: Seeds) -> Table:
    """Returns one line for each kernel width."""
    header = [
        "width, times the median distance",
        "effective sample size",
        "mean of the source under w",
        "KLIEP: Wasserstein",
        "under w",
    ]
    lines = []
    for index, first in enumerate(seeds[0]["kliep"]):
        weights = [seed["kliep"][index]["weights"] for seed in seeds]
        lines.append(
            [
                f"{first['width']:g}",
                f"{100 * np.mean([each['ess'] for each in weights]):.2g} %",
                f"{np.mean([each['weighted_mean'] for each in weights]):.2f}",
                *_kliep_distances(seeds, index),
            ]
        )
    vanilla = [seed["vanilla"]["wasserstein"] for seed in seeds]
    lines.append(
        ["none (vanilla GAN)", "100 %", "", _median_and_range(vanilla), ""]
    )
    return Table(header, lines)


def _kliep_distances(seeds: Seeds, index: int) -> list[str]:
    found: list[Mapping[str, Any]] = [seed["kliep"][index] for seed in seeds]
    return [
        _median_and_range([each[kind]["wasserstein"] for each in found])
        for kind in ("plain", "weighted")
    ]


def _median_and_range(values: Sequence[float]) -> str:
    diverged = int(np.isnan(values).sum())
    if diverged:
        return f"{diverged} of {len(values)} diverged"
    return f"{np.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"
