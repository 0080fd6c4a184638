"""What the toy's report says of results made up by hand."""

import numpy as np
import pytest

from kliep_tf.experiments.reporting.pages import Section, to_markdown
from kliep_tf.experiments.toy_study import page, plots, report, sweep
from kliep_tf.experiments.toy_study.gan import GanSettings
from kliep_tf.experiments.toy_study.seed import BIN_EDGES


def measures(wasserstein: float) -> dict:
    return {
        "mean": 7.0,
        "std": 1.0,
        "wasserstein": wasserstein,
        "energy": 2 * wasserstein,
    }


def seed_result(vanilla: float, kliep: float, width=None) -> dict:
    flat = [1 / (len(BIN_EDGES) - 1)] * (len(BIN_EDGES) - 1)
    return {
        "source": measures(2.5),
        "vanilla": measures(vanilla),
        "kliep": [
            {
                "width": width,
                "weights": {
                    "bandwidth": 8.0,
                    "decided_by": "ess_floor",
                    "ess": 0.08,
                    "largest": 90.0,
                    "weighted_mean": 5.2,
                    "weighted_std": 2.9,
                    "duality_gap": 1e-8,
                },
                "weighted_source": measures(2.4),
                "plain": measures(kliep),
                "weighted": measures(kliep / 2),
            }
        ],
        "histograms": dict.fromkeys(
            ("source", "target", "vanilla", "kliep", "kliep_weighted"), flat
        ),
        "losses": [[1.4, 0.7], [1.4, 0.7]],
        "seconds": {"weights": 1.0, "training": 2.0},
        "cpu_seconds": {"weights": 1.0, "training": 3.0},
    }


def text_of(*blocks) -> str:
    return to_markdown("title", [Section("", blocks)])


def test_pairs_by_hand():
    # Differences -1, -1, -4: mean -2, deviation sqrt(3), t = -2.
    found = report.pair([1.0, 2.0, 1.0], [2.0, 3.0, 5.0])
    assert found.difference.difference.mean == pytest.approx(-2.0)
    # For two degrees of freedom, two-sided: p = 1 - t / sqrt(t^2 + 2).
    assert found.difference.p_value == pytest.approx(1 - 2 / np.sqrt(6))
    assert found.relative == pytest.approx(-2.0 / (10 / 3))
    assert found.median == -1.0
    # All signs alike: two of the eight sign patterns are as extreme.
    assert found.wilcoxon == pytest.approx(0.25)
    assert found.better == 3


def test_equal_gans_have_no_p_value():
    found = report.pair([1.0, 2.0], [1.0, 2.0])
    assert np.isnan(found.wilcoxon)
    assert found.better == 0


def test_collapsed_are_counted_and_stay_in_the_table():
    seeds = [seed_result(0.5, 0.4), seed_result(6.5, 0.6)]
    numbers = report.reading_numbers(seeds)
    assert numbers["collapsed"]["vanilla"] == 1
    assert numbers["collapsed"]["kliep"] == 0
    assert numbers["rows"]["vanilla"]["wasserstein"] == [0.5, 6.5]
    text = text_of(*report.describe_reading(seeds))
    assert "vanilla GAN 1 of 2" in text
    assert "3.500 ±" in text  # the mean of 0.5 and 6.5


def test_diverged_training_counts_as_collapsed():
    assert report.collapsed([seed_result(1, 1)], [float("nan")]) == 1


def test_one_seed_has_no_interval_and_no_p_value():
    text = text_of(*report.describe_reading([seed_result(0.5, 0.4)]))
    assert "nan" not in text
    assert "| vanilla GAN | 7.000 | 1.000 | 0.500 | 1.000 | 0.500 |" in text
    line = "| KLIEP GAN | Wasserstein | -0.100 | -20 % | -0.100 | - | - | 1 of"
    assert line in text


def test_diverged_trainings_are_said_to_be_so():
    seeds = [seed_result(float("nan"), 0.4), seed_result(0.5, 0.6)]
    text = text_of(*report.describe_reading(seeds))
    assert "nan" not in text
    assert "| vanilla GAN | 7.000 ± 0.000 | 1.000 ± 0.000 | - | - |" in text
    assert "| KLIEP GAN | Wasserstein | - | - | - | - | - | 0 of 2 |" in text
    settings = GanSettings(64, 2, 4e-3, 8e-3, 40, 200)
    networks = text_of(sweep.networks_table({"a": seeds}, {"a": settings}))
    assert "| 1 of 2 diverged |" in networks


def test_lines_of_the_sweep_are_of_the_same_seeds(tmp_path):
    settings = GanSettings(64, 2, 4e-3, 8e-3, 40, 200)
    seeds = [seed_result(0.5, 0.4, 2.0), seed_result(6.5, 0.6, 2.0)]
    values = ("vectors", "features", "centers", "scalars", "min_ess")
    inputs = page.PageInputs(
        found={
            "vectors": seeds[:1],
            "sweep/wide": seeds,
            "sweep/widths": seeds,
        },
        settings={"default": settings, "wide": settings},
        values=dict.fromkeys(values, 1),
        command="",
    )
    text = page.write_page(tmp_path, inputs).read_text()
    assert "in the first line," in text
    assert "first 1 seeds." in text
    assert text.count("0.50 (0.50 to 0.50) | 0 of 1 |") == 2


def test_sweep_lines():
    settings = GanSettings(64, 2, 4e-3, 8e-3, 40, 200)
    seeds = [seed_result(0.5, 0.4, 2.0), seed_result(6.5, 0.6, 2.0)]
    networks = text_of(sweep.networks_table({"a": seeds}, {"a": settings}))
    last = networks.splitlines()[-1]
    assert last.startswith("| 2 of 64 | 0.004 | 0.008 | 3.50 (0.50 to 6.50)")
    assert "1 of 2" in last
    widths = text_of(sweep.widths_table(seeds)).splitlines()
    assert widths[4].startswith("| 2 | 8 % | 5.20 | 0.50 (0.40 to 0.60)")


def test_figure_is_a_small_png():
    seeds = [seed_result(0.5, 0.4), seed_result(6.5, 0.6)]
    drawn = plots.draw({"vectors": seeds, "scalars": seeds})
    assert drawn.startswith(b"\x89PNG")
    diverged = [*seeds, seed_result(float("nan"), 0.5)]
    assert plots.draw({"vectors": diverged}).startswith(b"\x89PNG")
    assert len(drawn) < 200_000
