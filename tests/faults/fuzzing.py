"""Readers and fit_kliep on inputs that chance has damaged."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from kliep_tf.errors import UserError
from tests.faults.damage import mutate

_SHAPES = ((1, 1), (2, 1), (5, 2), (8, 3))


def complaint_of(function: Callable[[], Any], names: str = "") -> str:
    """Returns what is wrong with how a call ended, "" for nothing.

    A call may return, or raise a UserError of one line.

    Args:
        function: is called.
        names: what the message has to name.
    """
    try:
        function()
    except UserError as error:
        message = str(error)
        if "\n" in message or len(message) > 2000:
            return f"no line: {message[:200]!r}"
        if names not in message:
            return f"does not name {names}: {message[:200]!r}"
        return ""
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:200]}"
    return ""


def readers(directory: Path) -> dict[str, tuple[Path, Callable[[], Any]]]:
    """Writes a whole file of each format; returns them with their readers."""
    from kliep_tf import flagfiles, runs
    from kliep_tf.data import confusions, features, framing, tensors, weights
    from kliep_tf.data.index import build_index
    from kliep_tf.data.summaries import class_set_of, read_summary
    from kliep_tf.density_ratio.doubt import read_signs
    from tests.conftest import write_records

    directory.mkdir(parents=True, exist_ok=True)
    names = np.array(["a", "b", "c"])
    weights.save_weights(
        directory,
        weights.ImportanceWeights(
            "source",
            names,
            np.array([0.5, 1.0, 1.5], np.float32),
            {"mixture": 0.5, "feature_names": ["x"]},
            {"alpha": np.ones(3)},
        ),
    )
    (directory / "source_weights.csv").unlink()
    features.save_features(
        directory / "features.npz",
        features.Features(names, np.ones((3, 2)), np.array(["x", "y"])),
    )
    confusions.save_confusions(
        directory / "frames.npz",
        confusions.FrameConfusions(names, np.ones((3, 2, 2), np.int64)),
    )
    buffer = io.BytesIO()
    np.savez_compressed(buffer, a=np.arange(6.0), b=np.eye(2))
    (directory / "tensors.npz").write_bytes(buffer.getvalue())
    header = json.dumps(
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
    ).encode()
    (directory / "tensors.safetensors").write_bytes(
        len(header).to_bytes(8, "little") + header + bytes(8)
    )
    config = {
        "program": "p",
        "arguments": {"a": 1},
        "inputs": {"b": "c"},
        "versions": {"python": "3"},
        "status": "complete",
    }
    (directory / "config.json").write_text(
        json.dumps({"parts": {"output": config}})
    )
    signs = [{"name": "s", "source": 0.1, "target": 0.2, "limit": None}]
    (directory / "signs.json").write_text(json.dumps(signs))
    (directory / "a.flags").write_text("--steps=3\n# why\n--seed=4\n")
    split = write_records(
        directory / "records", number=2, sky=0.5, bright=True, num_shards=1
    )
    (shard,) = map(str, split.glob("*.tfrecord"))

    def read(reader: Callable, name: str) -> tuple[Path, Callable[[], Any]]:
        path = directory / name
        return path, lambda: reader(path)

    def frames(path: Path) -> None:
        framing.read_spans(path)
        list(framing.read_records(path))

    def summary(path: Path) -> None:
        read_summary(path.parent, "train")
        class_set_of([shard])

    return {
        "weights": read(
            lambda path: weights.load_weights(path.parent, "source"),
            "source_weights.npz",
        ),
        "features": read(features.load_features, "features.npz"),
        "confusions": read(confusions.load_confusions, "frames.npz"),
        "npz tensors": read(tensors.read_tensors, "tensors.npz"),
        "safetensors": read(tensors.read_tensors, "tensors.safetensors"),
        "config.json": read(
            lambda path: runs.read_config(path.parent), "config.json"
        ),
        "signs.json": read(read_signs, "signs.json"),
        "dataset.json": read(summary, "records/dataset.json"),
        "record framing": read(frames, f"records/{Path(shard).name}"),
        "records": read(
            lambda path: build_index([str(path)]),
            f"records/{Path(shard).name}",
        ),
        "flagfile": read(
            lambda path: flagfiles.expand(["program", f"--flagfile={path}"]),
            "a.flags",
        ),
    }


def fuzz_reader(
    path: Path, reader: Callable[[], Any], count: int, seed: int
) -> list[str]:
    """Returns what went wrong on so many damaged files."""
    rng = np.random.default_rng(seed)
    whole = path.read_bytes()
    found = []
    try:
        for number in range(count):
            path.write_bytes(mutate(whole, rng))
            # The shard of a dataset.json, the run of a config.json.
            complaint = complaint_of(reader, str(path.parent))
            if complaint:
                found.append(f"{path.name}, seed {seed}, {number}: {complaint}")
    finally:
        path.write_bytes(whole)
    return found


def fuzz_kliep(count: int, seed: int) -> list[str]:
    """Returns what went wrong in so many fits of samples made by chance.

    Weights have to be finite, not negative and of mean 1 over the source.
    """
    from kliep_tf.density_ratio.kliep import density_ratio, fit_kliep

    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        source, target, bandwidth = _samples(rng)

        def fit(source=source, target=target, bandwidth=bandwidth) -> None:
            result = fit_kliep(source, target, bandwidth=bandwidth)
            ratio = density_ratio(source, result)
            if not (np.isfinite(ratio).all() and (ratio >= 0).all()):
                raise ArithmeticError(f"weights {ratio}")
            if abs(ratio.mean() - 1) > 1e-3:
                raise ArithmeticError(f"weights of mean {ratio.mean()}")

        complaint = complaint_of(fit)
        if complaint:
            found.append(f"seed {seed}, {number}: {complaint}")
    return found


def _samples(rng: np.random.Generator) -> tuple[Any, Any, float]:
    """Returns a source, a target and a width; of few shapes, which compile."""
    rows, columns = _SHAPES[rng.integers(len(_SHAPES))]
    scale = 10.0 ** rng.choice([-30.0, -6, 0, 0, 0, 3, 15, 30])
    samples = []
    for _ in range(2):
        values = rng.normal(size=(rows, columns)) * scale
        values += rng.choice([0.0, 0.0, 1.0, 1e6]) * scale
        if rng.random() < 0.3:  # all alike, or some
            values[rng.integers(rows) :] = values[0]
        if rng.random() < 0.1:
            bad = rng.choice([np.nan, np.inf, -np.inf, 1e308, 5e-324])
            values[rng.integers(rows), rng.integers(columns)] = bad
        samples.append(values)
    width = float(10.0 ** rng.choice([-30.0, -3, 0, 0, 1, 30])) * scale
    return samples[0], samples[1], width


# By format, as `readers` names them; how many inputs the soak makes of each.
NAMES = (
    "weights",
    "features",
    "confusions",
    "npz tensors",
    "safetensors",
    "config.json",
    "signs.json",
    "dataset.json",
    "record framing",
    "records",
    "flagfile",
)
COUNT = 10_000
COUNTS = {"records": 4_000, "fit_kliep": 3_000}
