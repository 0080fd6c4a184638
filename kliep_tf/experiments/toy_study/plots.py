"""The toy's plot: distributions as in Fig. 3, and every pair of GANs."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from kliep_tf.experiments.reporting.plots import to_png
from kliep_tf.experiments.toy_study.seed import BIN_EDGES

# Told apart in every common kind of colour blindness.
_COLORS = {
    "vanilla": "#4477aa",
    "kliep": "#ee6677",
    "kliep_weighted": "#aa3377",
}
_NAMES = {
    "vanilla": "vanilla GAN",
    "kliep": "KLIEP GAN",
    "kliep_weighted": "KLIEP GAN, under w",
}


def draw(readings: Mapping[str, Sequence[Mapping[str, Any]]]) -> bytes:
    """Returns a PNG, one row a reading.

    Args:
        readings: by reading, what `seed.run_seed` returned for each seed.
    """
    with matplotlib.rc_context({"font.size": 9, "axes.grid": True}):
        figure = Figure((11, 3.6 * len(readings)), layout="constrained")
        rows = figure.subplots(len(readings), 2, squeeze=False)
        for (left, right), (name, seeds) in zip(
            rows, readings.items(), strict=True
        ):
            _draw_distributions(left, name, seeds)
            _draw_pairs(right, name, seeds)
        return to_png(figure, dpi=90)


def _draw_distributions(axis: Any, reading: str, seeds: Sequence) -> None:
    """The values of all seeds together."""
    width = BIN_EDGES[1] - BIN_EDGES[0]
    density = {
        name: np.mean([seed["histograms"][name] for seed in seeds], 0) / width
        for name in seeds[0]["histograms"]
    }
    for name, color in (("source", "#bbbbbb"), ("target", "#ccbb44")):
        axis.stairs(
            density[name],
            BIN_EDGES,
            fill=True,
            alpha=0.6,
            color=color,
            label=name,
        )
    for name, color in _COLORS.items():
        style = "--" if name == "kliep_weighted" else "-"
        axis.stairs(
            density[name],
            BIN_EDGES,
            color=color,
            label=_NAMES[name],
            linestyle=style,
            linewidth=1.4,
        )
    axis.set(
        title=f"{reading}: values of {len(seeds)} seeds",
        xlabel="value (what lies outside is in the outermost bin)",
        ylabel="density",
    )
    axis.legend(loc="upper left")


def _draw_pairs(axis: Any, reading: str, seeds: Sequence) -> None:
    """The KLIEP GAN's distance over the vanilla GAN's, one dot a seed."""
    vanilla = [seed["vanilla"]["wasserstein"] for seed in seeds]
    shown = list(vanilla)
    for name, kind, marker in (
        ("kliep", "plain", "o"),
        ("kliep_weighted", "weighted", "^"),
    ):
        own = [seed["kliep"][0][kind]["wasserstein"] for seed in seeds]
        axis.scatter(
            vanilla,
            own,
            s=22,
            marker=marker,
            color=_COLORS[name],
            alpha=0.8,
            label=_NAMES[name],
        )
        shown += own
    # A training that diverged has no distance and no dot.
    finite = [value for value in shown if np.isfinite(value)] or [1.0]
    ends = (0.8 * min(finite), 1.25 * max(finite))
    axis.plot(ends, ends, color="black", linewidth=1, label="equal")
    axis.set(
        xscale="log",
        yscale="log",
        xlim=ends,
        ylim=ends,
        title=f"{reading}: Wasserstein distance to the target, seed by seed",
        xlabel="vanilla GAN",
        ylabel="KLIEP GAN",
    )
    axis.legend(loc="best")
