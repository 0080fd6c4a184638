"""Readers and fit_kliep on inputs that hypothesis has damaged or made.

Of what fails it looks for the smallest: one changed byte, two equal points.
"""

import dataclasses
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from kliep_tf.errors import UserError
from tests.faults.damage import (
    MUTATIONS,
    Mutation,
    mutate,
    mutate_arrays,
    mutate_records,
)

_SHAPES = ((1, 1), (2, 1), (5, 2), (8, 3))  # few, as each compiles
_BAD = (np.nan, np.inf, -np.inf, 1e308, 5e-324)


@dataclasses.dataclass(frozen=True)
class Format:
    """A whole file, what reads it, and how it is changed.

    Attributes:
        path: of the file.
        read: reads it.
        mutate: changes its content.
    """

    path: Path
    read: Callable[[], Any]
    mutate: Callable[[bytes, Mutation], bytes] = mutate


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


def readers(directory: Path) -> dict[str, Format]:
    """Writes a whole file of each format; returns them with their readers."""
    from kliep_tf import flagfiles, runs
    from kliep_tf.data import confusions, features, framing, tensors, weights
    from kliep_tf.data.index import build_index, image_sizes
    from kliep_tf.data.summaries import class_set_of, read_summary
    from kliep_tf.density_ratio.doubt import read_signs
    from tests.conftest import write_records
    from tfrecords_tools import convert_gta5, polygons
    from tfrecords_tools.inspection import inspect
    from tfrecords_tools.label_maps import load_label_map

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
    table = directory / "table"
    table.mkdir(exist_ok=True)
    shutil.copy(directory / "source_weights.npz", table)
    shutil.move(directory / "source_weights.csv", table)
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
    (directory / "map.csv").write_text(
        "id,class,color\n7,road,128 64 128\n8,road,\n23,sky,#4682b4\n0,,\n"
    )
    triangle = {"label": "road", "polygon": [[0, 0], [9, 0], [0, 7.5]]}
    (directory / "polygons.json").write_text(
        json.dumps({"imgHeight": 8, "imgWidth": 10, "objects": [triangle]})
    )
    _write_gta5(directory / "gta5")
    gta5 = load_label_map("gta5")
    split = write_records(
        directory / "records", number=2, sky=0.5, bright=True, num_shards=1
    )
    (shard,) = map(str, split.glob("*.tfrecord"))

    def read(
        reader: Callable[[Path], Any], name: str, mutate: Callable = mutate
    ) -> Format:
        path = directory / name
        return Format(path, lambda: reader(path), mutate)

    def load_weights(path: Path) -> None:
        weights.load_weights(path.parent, "source")

    def frames(path: Path) -> None:
        framing.read_spans(path)
        list(framing.read_records(path))

    def summary(path: Path) -> None:
        read_summary(path.parent, "train")
        class_set_of([shard])

    def index(path: Path) -> None:
        image_sizes(build_index([str(path)]))

    shard_name = f"records/{Path(shard).name}"
    return {
        "weights": read(load_weights, "source_weights.npz"),
        "arrays of weights": read(
            load_weights, "source_weights.npz", mutate_arrays
        ),
        "weights' table": read(load_weights, "table/source_weights.csv"),
        "features": read(features.load_features, "features.npz"),
        "arrays of features": read(
            features.load_features, "features.npz", mutate_arrays
        ),
        "confusions": read(confusions.load_confusions, "frames.npz"),
        "arrays of confusions": read(
            confusions.load_confusions, "frames.npz", mutate_arrays
        ),
        "npz tensors": read(tensors.read_tensors, "tensors.npz"),
        "safetensors": read(tensors.read_tensors, "tensors.safetensors"),
        "config.json": read(
            lambda path: runs.read_config(path.parent), "config.json"
        ),
        "signs.json": read(read_signs, "signs.json"),
        "dataset.json": read(summary, "records/dataset.json"),
        "record framing": read(frames, shard_name),
        "records": read(index, shard_name),
        "contents of records": read(index, shard_name, mutate_records),
        "inspection": read(
            lambda path: inspect([str(path)], num_workers=0),
            shard_name,
            mutate_records,
        ),
        "flagfile": read(
            lambda path: flagfiles.expand(["program", f"--flagfile={path}"]),
            "a.flags",
        ),
        "label map": read(lambda path: load_label_map(str(path)), "map.csv"),
        "split.mat": read(
            lambda path: convert_gta5.list_frames(path.parent, gta5, "train"),
            "gta5/split.mat",
        ),
        "polygons": read(polygons.draw_label_ids, "polygons.json"),
    }


def _write_gta5(root: Path) -> None:
    import scipy.io

    from kliep_tf.data.png import encode_png

    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True)
        (root / folder / "00001.png").write_bytes(
            encode_png(np.zeros((4, 4), np.uint8))
        )
    ids = np.arange(1, 6)[:, None]
    scipy.io.savemat(root / "split.mat", {"trainIds": ids})


def fuzz_reader(form: Format, count: int, seed: int) -> list[str]:
    """Returns what went wrong on so many damaged files."""
    path = form.path
    whole = path.read_bytes()

    def check(mutation: Mutation) -> None:
        path.write_bytes(form.mutate(whole, mutation))
        # The shard of a dataset.json, the run of a config.json.
        complaint = complaint_of(form.read, str(path.parent))
        assert not complaint, f"{path.name}, {mutation}: {complaint}"

    try:
        return _failures(check, MUTATIONS, count, seed)
    finally:
        path.write_bytes(whole)


def fuzz_kliep(count: int, seed: int) -> list[str]:
    """Returns what went wrong in so many fits of samples made by chance.

    Weights have to be finite, not negative and of mean 1 over the source.
    """
    from kliep_tf.density_ratio.kliep import density_ratio, fit_kliep

    def check(samples: tuple[np.ndarray, np.ndarray, float]) -> None:
        source, target, bandwidth = samples

        def fit() -> None:
            result = fit_kliep(source, target, bandwidth=bandwidth)
            ratio = density_ratio(source, result)
            if not (np.isfinite(ratio).all() and (ratio >= 0).all()):
                raise ArithmeticError(f"weights {ratio}")
            if abs(ratio.mean() - 1) > 1e-3:
                raise ArithmeticError(f"weights of mean {ratio.mean()}")

        complaint = complaint_of(fit)
        assert not complaint, f"fit_kliep{samples}: {complaint}"

    return _failures(check, _samples(), count, seed)


def _failures(
    check: Callable[[Any], None],
    inputs: st.SearchStrategy,
    count: int,
    seed: int,
) -> list[str]:
    """Returns the smallest input that a check fails on, if there is one."""
    settings = hypothesis.settings(
        max_examples=count,
        deadline=None,
        database=None,
        print_blob=False,
        phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
        report_multiple_bugs=False,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    run = hypothesis.seed(seed)(settings(hypothesis.given(inputs)(check)))
    try:
        run()
    except (AssertionError, hypothesis.errors.HypothesisException) as error:
        return [f"seed {seed}: {error}"]
    return []


@st.composite
def _samples(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, float]:
    """A source, a target and a width: far, near and equal points, any scale."""
    shape = draw(st.sampled_from(_SHAPES))
    scale = 10.0 ** draw(st.sampled_from([0, -30, -6, 3, 15, 30]))
    near = st.integers(-24, 24).map(lambda step: step / 8)
    values = draw(st.sampled_from([near, st.floats(-1e3, 1e3)]))
    samples = []
    for _ in range(2):
        sample = draw(arrays.arrays(np.float64, shape, elements=values))
        sample = (sample + draw(st.sampled_from([0.0, 1.0, 1e6]))) * scale
        if draw(st.sampled_from([False] * 9 + [True])):
            row = draw(st.integers(0, shape[0] - 1))
            sample[row, 0] = draw(st.sampled_from(_BAD))
        samples.append(sample)
    width = 10.0 ** draw(st.sampled_from([0, 1, -3, -30, 30])) * scale
    return samples[0], samples[1], width


# By format, as `readers` names them; how many inputs the soak makes of each.
NAMES = (
    "weights",
    "arrays of weights",
    "weights' table",
    "features",
    "arrays of features",
    "confusions",
    "arrays of confusions",
    "npz tensors",
    "safetensors",
    "config.json",
    "signs.json",
    "dataset.json",
    "record framing",
    "records",
    "contents of records",
    "inspection",
    "flagfile",
    "label map",
    "split.mat",
    "polygons",
)
COUNT = 5_500
COUNTS = {"inspection": 3_000, "fit_kliep": 4_000}
