"""The toy's program, whole, on small samples."""

import dataclasses
import json
from pathlib import Path

import pytest

from kliep_tf.errors import UserError
from kliep_tf.experiments.toy import ToyConfig, toy

SMALL = ToyConfig(
    output_dir="",
    num_seeds=2,
    num_vectors=400,
    num_features=10,
    epochs=4,
    hidden_units=8,
    num_centers=40,
    fit_scalars=400,
)
FIRST, SECOND = (Path("scalars", f"seed-00{seed}.json") for seed in (0, 1))


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> ToyConfig:
    """Returns the config of a finished run."""
    directory = tmp_path_factory.mktemp("toy") / "out"
    config = dataclasses.replace(SMALL, output_dir=str(directory))
    toy(config)
    return config


def read(config: ToyConfig, name: str | Path):
    return json.loads(Path(config.output_dir, name).read_text("utf-8"))


def test_kliep_on_scalars_finds_the_target_in_the_source(finished):
    for seed in (FIRST, SECOND):
        found = read(finished, seed)
        assert found["source"]["mean"] == pytest.approx(5, abs=0.2)
        under_weights = found["kliep"][0]["weighted_source"]
        assert under_weights["mean"] == pytest.approx(7, abs=0.2)
        assert under_weights["std"] < 0.9
        assert under_weights["wasserstein"] < 0.4


def test_report_holds_both_readings_and_the_figure(finished):
    directory = Path(finished.output_dir)
    page = (directory / "toy.md").read_text("utf-8")
    assert "## Reading: vectors" in page
    assert "## Reading: scalars" in page
    assert "toy_distributions.png" in page
    assert (directory / "toy_distributions.png").is_file()
    numbers = read(finished, "toy.json")
    for reading in ("vectors", "scalars"):
        rows = numbers["readings"][reading]["rows"]
        assert len(rows["vanilla"]["wasserstein"]) == 2


def test_same_command_makes_only_what_is_missing(finished, capsys):
    directory = Path(finished.output_dir)
    before = read(finished, SECOND)
    kept = (directory / FIRST).stat().st_mtime_ns
    (directory / SECOND).unlink()
    toy(finished)
    assert (directory / FIRST).stat().st_mtime_ns == kept
    after = read(finished, SECOND)
    for key in ("source", "vanilla", "kliep", "losses"):
        assert after[key] == before[key]
    written = (directory / "toy.md").stat().st_mtime_ns
    toy(finished)
    assert "already done" in capsys.readouterr().out
    assert (directory / "toy.md").stat().st_mtime_ns == written


def test_fewer_seeds_and_one_reading_read_what_is_there(finished, capsys):
    toy(dataclasses.replace(finished, num_seeds=1, reading="scalars"))
    assert "already done" in capsys.readouterr().out
    assert list(read(finished, "toy.json")["readings"]) == ["scalars"]


def test_another_network_needs_another_directory(finished):
    with pytest.raises(UserError, match="--hidden_units=8"):
        toy(dataclasses.replace(finished, hidden_units=16))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 300}, "--batch_size=300: expected a divisor"),
        ({"num_seeds": 0}, "--num_seeds=0: expected 1 or more"),
        ({"hidden_layers": -1}, "--hidden_layers=-1: expected 0 or more"),
        ({"min_ess": 2.0}, "--min_ess=2.0: expected a fraction"),
        ({"fit_scalars": 1}, "--fit_scalars=1: expected 2 or more"),
        ({"generator_rate": 0.0}, "--generator_rate=0.0: expected a number"),
        (
            {"discriminator_rate": float("nan")},
            "--discriminator_rate=nan: expected a number",
        ),
    ],
)
def test_unusable_flags_are_named(tmp_path, change, message):
    config = dataclasses.replace(SMALL, output_dir=str(tmp_path), **change)
    with pytest.raises(UserError, match=message):
        toy(config)
