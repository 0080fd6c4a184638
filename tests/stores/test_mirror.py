"""What comes from a store, what goes there, and in which order."""

import os

import pytest

from kliep_tf.stores.folders import open_folder
from kliep_tf.stores.mirror import Mirror


class Recorded:
    """A folder that tells what was put."""

    def __init__(self, folder):
        self._folder, self.put_names = folder, []

    def put(self, path, name):
        self._folder.put(path, name)
        self.put_names.append(name)

    def __getattr__(self, name):
        return getattr(self._folder, name)


@pytest.fixture
def store(address):
    return Recorded(open_folder(address))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "here"


def write(folder, *names, content=b"1"):
    """Writes files one after the other, a second apart."""
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (1e9 + number, 1e9 + number))


def test_files_go_in_the_order_in_which_they_were_written(store, folder):
    write(folder, "z", "sub/b", "a")
    assert Mirror(store, folder).push() == 3
    assert store.put_names == ["z", "sub/b", "a"]


def test_only_what_has_changed_goes_again(store, folder):
    write(folder, "same", "changed")
    mirror = Mirror(store, folder)
    mirror.push()
    assert mirror.push() == 0
    write(folder, "changed", content=b"22")
    assert mirror.push() == 1
    assert store.read("changed") == b"22"


def test_what_is_removed_here_is_removed_there(store, folder):
    write(folder, "ckpt-1", "ckpt-2")
    mirror = Mirror(store, folder)
    mirror.push()
    (folder / "ckpt-1").unlink()
    mirror.push()
    assert store.names() == ["ckpt-2"]


def test_another_machine_finds_it_all_and_changes_nothing(
    store, folder, tmp_path
):
    write(folder, "a", "sub/b", ".train-00000.tfrecord.json")
    Mirror(store, folder).push()
    other = tmp_path / "other"
    mirror = Mirror(store, other)
    assert mirror.pull() == 3
    assert {
        str(path.relative_to(other))
        for path in other.rglob("*")
        if path.is_file()
    } == {"a", "sub/b", ".train-00000.tfrecord.json"}
    assert mirror.push() == 0


def test_what_only_helps_to_make_files_stays_here(store, folder):
    write(
        folder,
        ".lock",
        "sub/.lock",
        ".train-0.tfrecord.1.partial",
        "saved_model/.partial/saved_model.pb",
        "checkpoints/ckpt-3_temp/part-0",
        "checkpoints/checkpoint.tmp0815",
        "whole",
    )
    Mirror(store, folder).push()
    assert store.names() == ["whole"]


def test_what_is_written_meanwhile_waits_for_what_came_before(store, folder):
    write(folder, "old")
    write(folder, "new")
    os.utime(folder / "new", (4e9, 4e9))  # after the call began
    mirror = Mirror(store, folder)
    mirror.push(at_rest=False)
    assert store.names() == ["old"]
    mirror.push()
    assert store.names() == ["new", "old"]


def test_an_address_of_a_file_becomes_a_file(store, address, tmp_path):
    store.write("model.h5", b"weights")
    path = tmp_path / "0" / "model.h5"
    Mirror(open_folder(f"{address}/model.h5"), path).pull()
    assert path.read_bytes() == b"weights"


def test_a_missing_folder_is_none_here_either(store, folder):
    assert Mirror(store, folder).pull() == 0
    assert not folder.exists()
    assert Mirror(store, folder).push() == 0


def test_a_file_that_changes_ends_the_round(store, folder):
    write(folder, "ckpt-1.data", "checkpoint", content=b"names ckpt-1")
    put = store.put

    def save_meanwhile(path, name):
        put(path, name)
        if name == "ckpt-1.data":
            write(folder, "ckpt-2.data", "checkpoint", content=b"names ckpt-2")
            (folder / "old").unlink(missing_ok=True)

    write(folder, "old")
    mirror = Mirror(store, folder)
    mirror.push()
    for name in store.names():
        store.remove(name)
    mirror = Mirror(store, folder)
    store.put = save_meanwhile
    mirror.push(at_rest=False)
    # "checkpoint" waits: it names a file that is not there yet.
    assert set(store.names()) <= {"ckpt-1.data", "old"}
    mirror.push(at_rest=False)
    assert store.read("checkpoint") == b"names ckpt-2"
    assert {"ckpt-1.data", "ckpt-2.data"} <= set(store.names())


def test_nothing_is_removed_while_something_waits(store, folder):
    write(folder, "ckpt-1", "checkpoint")
    mirror = Mirror(store, folder)
    mirror.push()
    (folder / "ckpt-1").unlink()
    write(folder, "ckpt-2", "checkpoint", content=b"22")
    os.utime(folder / "checkpoint", (4e9, 4e9))  # after the call began
    mirror.push(at_rest=False)
    assert store.names() == ["checkpoint", "ckpt-1", "ckpt-2"]
    assert store.read("checkpoint") == b"1"
    mirror.push()
    assert store.names() == ["checkpoint", "ckpt-2"]


def test_a_graph_comes_last_of_its_saved_model(store, folder):
    write(folder, "m/saved_model.pb", "m/variables/v", "m/assets/a", "after")
    mirror = Mirror(store, folder)
    mirror.push()
    assert store.put_names == [
        "m/variables/v",
        "m/assets/a",
        "m/saved_model.pb",
        "after",
    ]
    # Made anew, it is none until all of it is there.
    write(folder, "m/saved_model.pb", "m/variables/v", content=b"22")
    put = store.put

    def look(path, name):
        assert name == "m/saved_model.pb" or "m/saved_model.pb" not in (
            store.names()
        )
        put(path, name)

    store.put = look
    assert mirror.push() == 2
    assert store.read("m/saved_model.pb") == b"22"


def test_a_folder_that_is_gone_empties_nothing(store, folder):
    write(folder, "a")
    mirror = Mirror(store, folder)
    mirror.push()
    (folder / "a").unlink()
    folder.rmdir()
    with pytest.raises(FileNotFoundError):
        mirror.push()
    assert store.names() == ["a"]


def test_who_was_stopped_puts_nothing(store, folder):
    write(folder, "a")
    mirror = Mirror(store, folder)
    mirror.stopped.set()
    with pytest.raises(OSError, match="a is not written"):
        mirror.push()
    assert store.names() == []


def test_what_changes_and_then_goes_is_removed_there_too(store, folder):
    write(folder, "partial.npz")
    mirror = Mirror(store, folder)
    mirror.push()
    write(folder, "partial.npz", content=b"22")
    os.utime(folder / "partial.npz", (4e9, 4e9))  # after the call began
    mirror.push(at_rest=False)
    (folder / "partial.npz").unlink()
    mirror.push()
    assert store.names() == []
