"""Scratch folders of processes that were killed do not stay."""

import os
import tempfile

import pytest

from kliep_tf.scratch import scratch_folder, sweep


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_folder_of_a_live_process_stays_and_that_of_a_killed_one_goes(tmp_path):
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:  # ends without its exit handlers, as by SIGKILL
        folder = scratch_folder("mine_")
        os.write(write_end, os.path.basename(folder.name).encode())
        os._exit(0)
    os.waitpid(child, 0)
    left = tmp_path / os.read(read_end, 100).decode()
    (left / "copy.tfrecord").write_bytes(b"large")
    (tmp_path / "others_1").mkdir()
    mine = scratch_folder("mine_")
    assert not left.exists()
    sweep("mine_")
    assert os.path.isdir(mine.name)
    assert (tmp_path / "others_1").exists()
    mine.cleanup()
    assert [path.name for path in tmp_path.iterdir()] == ["others_1"]


def test_folder_without_a_lock_is_left_to_its_maker_for_a_while(tmp_path):
    young, old = tmp_path / "mine_young", tmp_path / "mine_old"
    young.mkdir()
    old.mkdir()
    os.utime(old, (1, 1))
    sweep("mine_")
    assert young.exists()
    assert not old.exists()
