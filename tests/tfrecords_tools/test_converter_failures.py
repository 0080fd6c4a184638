"""What a conversion does when it is killed, misused, or out of disk."""

import dataclasses
import json
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from PIL import Image

from kliep_tf.data import summaries
from kliep_tf.errors import UserError
from tests import processes
from tests.tfrecords_tools.conversions import convert, convert_city
from tests.tfrecords_tools.raw_folders import (
    shard_bytes,
    write_gta5_frame,
)


def test_a_killed_conversion_continues(tmp_path, run_program):
    root = tmp_path / "gta5"
    generator = np.random.default_rng(0)
    for number in range(1, 25):
        image = generator.integers(0, 256, (300, 400, 3), np.uint8)
        label = generator.integers(0, 35, (300, 400), np.uint8)
        write_gta5_frame(root, f"{number:05d}", image, label)
    flags = {
        "input_dir": root,
        "image_height": 280,
        "image_width": 380,
        "num_shards": 12,
        "num_workers": 1,
    }
    out = tmp_path / "interrupted"
    words = [f"--{name}={value}" for name, value in flags.items()]

    def stop(number, num_shards):
        """Stops a conversion when so many shards are written."""
        process = processes.start(
            [
                *("-m", "tfrecords_tools.convert_gta5"),
                *(*words, f"--output_dir={out}"),
            ]
        )
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        workers = []
        while process.poll() is None and len(shard_names(out)) < num_shards:
            if children.exists():
                workers = children.read_text().split() or workers
            time.sleep(0.01)
        process.send_signal(number)
        return process.communicate()[1], process.returncode, workers

    # As a preemptible machine says that it is taken away.
    stderr, status, _ = stop(signal.SIGTERM, 2)
    assert status == 143
    assert stderr.splitlines()[-1] == (
        "error: terminated; the same command again continues"
    )
    assert "Traceback" not in stderr
    _, _, workers = stop(signal.SIGKILL, 5)
    finished = {
        path.name: path.stat().st_mtime_ns for path in out.glob("*.tfrecord")
    }
    assert 5 <= len(finished) < 12, "not killed in the middle"
    assert not (out / "dataset.json").exists()

    # What a reader of the split would open are whole shards and nothing else.
    assert all(path.suffix == ".tfrecord" for path in out.glob("all-*"))

    result = run_program(
        "convert_gta5", **{**flags, "num_workers": 2}, output_dir=out
    )
    assert result.returncode == 0, result.stderr
    assert f"continuing: {len(finished)} of 12 shards" in result.stdout
    for name, time_written in finished.items():
        assert (out / name).stat().st_mtime_ns == time_written

    undisturbed = tmp_path / "undisturbed"
    convert(**{**flags, "num_workers": 0}, output_dir=undisturbed)
    assert shard_bytes(out) == shard_bytes(undisturbed)
    summary = dataclasses.asdict(summaries.read_summary(out, "all"))
    expected = dataclasses.asdict(summaries.read_summary(undisturbed, "all"))
    for field in ("shards", "image_sizes", "labelled", "class_pixel_shares"):
        assert summary[field] == expected[field]
    left = {path.name for path in out.iterdir()} - set(shard_bytes(out))
    assert left == {".lock", "config.json", "dataset.json"}
    for worker in workers:
        assert not is_running(worker)


def shard_names(directory):
    return list(Path(directory).glob("*.tfrecord"))


def is_running(process_id):
    status = Path(f"/proc/{process_id}/stat")
    # A zombie (Z) has ended; its new parent has not yet asked.
    return status.exists() and status.read_text().split()[2] != "Z"


# Mistakes


def break_nothing(root):
    pass


def truncate_image(root):
    path = root / "images" / "00003.png"
    path.write_bytes(path.read_bytes()[:-30])


def garble_image(root):
    # Header and end are there; what lies between is not.
    path = root / "images" / "00003.png"
    data = bytearray(path.read_bytes())
    start = data.index(b"IDAT") + 6
    data[start : start + 20] = bytes(20)
    path.write_bytes(data)


def other_names(root):
    for path in (root / "images").iterdir():
        path.rename(path.with_suffix(".image"))


def empty_split(root):
    (root / "split.mat").write_bytes(b"")


def damaged_split(root):
    values = {"trainIds": np.arange(100)[:, np.newaxis]}
    scipy.io.savemat(root / "split.mat", values, do_compression=True)
    data = bytearray((root / "split.mat").read_bytes())
    data[200] ^= 255
    (root / "split.mat").write_bytes(data)


def truncated_split(root):
    values = {"trainIds": np.arange(100)[:, np.newaxis]}
    scipy.io.savemat(root / "split.mat", values)
    data = (root / "split.mat").read_bytes()
    (root / "split.mat").write_bytes(data[:200])


def empty_label(root):
    (root / "labels" / "00003.png").write_bytes(b"")


def color_label(root):
    Image.new("RGB", (6, 4)).save(root / "labels" / "00003.png")


def no_frames(root):
    for folder in ("images", "labels"):
        for path in (root / folder).iterdir():
            path.unlink()


def no_folders(root):
    shutil.rmtree(root)
    root.mkdir()


MISTAKES = [
    (truncate_image, {}, "00003.png", "whole PNG"),
    (garble_image, {}, "00003.png", "damage"),
    (other_names, {}, "images", "00001.image, 00002.image"),
    (empty_split, {"split": "train"}, "split.mat", "with trainIds"),
    (damaged_split, {"split": "train"}, "split.mat", "with trainIds"),
    (truncated_split, {"split": "train"}, "split.mat", "with trainIds"),
    (empty_label, {}, "00003.png", "0 bytes"),
    (color_label, {}, "00003.png", "mode RGB"),
    (no_frames, {}, "images", "expected frames"),
    (no_folders, {}, "images", "expected the folders images/ and labels/"),
    (shutil.rmtree, {}, "gta5", "no such folder"),
    (break_nothing, {"split": "train"}, "split.mat", "--split=all needs no"),
    (break_nothing, {"image_height": 4}, "--image_width=0", "both above 0"),
    (break_nothing, {"num_shards": 0}, "--num_shards", "found 0"),
    (break_nothing, {"num_workers": -1}, "--num_workers", "found -1"),
]


@pytest.mark.parametrize(
    ("damage", "flags", "where", "what"),
    MISTAKES,
    ids=[f"{m[0].__name__}{'_'.join(m[1])}" for m in MISTAKES],
)
def test_mistakes_are_told_in_one_line(
    gta5_dir, tmp_path, damage, flags, where, what
):
    damage(gta5_dir)
    with pytest.raises(UserError) as error:
        convert(gta5_dir, tmp_path / "out", **flags)
    message = str(error.value)
    assert "\n" not in message
    assert where in message
    assert what in message
    assert not list(tmp_path.glob("out/all-*"))


def test_cityscapes_mistakes(cityscapes_dir, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(UserError, match=r"leftImg8bit/val.*: train\)"):
        convert_city(cityscapes_dir, out, split="val")
    shutil.rmtree(cityscapes_dir / "gtFine")
    with pytest.raises(UserError, match=r"gtFine/train.*--labels=none"):
        convert_city(cityscapes_dir, out)
    (cityscapes_dir / "gtFine" / "train").mkdir(parents=True)
    with pytest.raises(UserError, match=r"any of 2 images.*--labels=none"):
        convert_city(cityscapes_dir, out)
    assert not out.exists()


def test_exit_status_and_stderr(gta5_dir, tmp_path, run_program):
    truncate_image(gta5_dir)
    out = tmp_path / "out"
    commands = [
        (65, {"input_dir": gta5_dir}),
        (1, {"input_dir": tmp_path / "nowhere"}),
        (1, {"input_dir": gta5_dir, "split": "training"}),
    ]
    for status, flags in commands:
        result = run_program("convert_gta5", output_dir=out, **flags)
        assert result.returncode == status
        (line,) = result.stderr.splitlines()
        assert line.startswith("error: ")
    assert not out.exists()


def test_a_full_disk_is_told_in_one_line(tmp_path):
    root = tmp_path / "gta5"
    image = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    write_gta5_frame(root, "00001", image, np.zeros((300, 400), np.uint8))
    limited = (
        "import resource, runpy, sys;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000));"
        "runpy.run_module('tfrecords_tools.convert_gta5', "
        "run_name='__main__', alter_sys=True)"
    )
    result = processes.run(
        [
            *("-c", limited, f"--input_dir={root}"),
            *(f"--output_dir={tmp_path / 'out'}", "--num_workers=0"),
        ]
    )
    assert result.returncode == 74, result.stderr
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in result.stderr
    assert not list((tmp_path / "out").glob("all-*"))


def test_config_json_traces_the_records(gta5_dir, tmp_path):
    config = convert(gta5_dir, tmp_path / "out", seed=3)
    record = json.loads((tmp_path / "out" / "config.json").read_text())
    record = record["parts"]["all"]
    assert record["status"] == "complete"
    assert record["arguments"] == dataclasses.asdict(config)
    assert set(record["inputs"]) == {"images", "labels"}
    assert "pillow" in record["versions"]
