"""Outputs that are saved, by stores that fail as a test says."""

import threading
import time
from pathlib import Path

import pytest

from kliep_tf.errors import RefusedError
from kliep_tf.stores import saver
from kliep_tf.stores.saver import Output, Saver


class Part:
    """A mirror or a lease: tells what it was asked, does what a test wants."""

    def __init__(self, **does):
        self.asked, self._does = [], does

    def __getattr__(self, name):
        def do(**options):
            self.asked.append(name)
            return self._does.get(name, lambda: 0)()

        return do


def fail():
    raise OSError("the network is away")


def interrupt():
    raise KeyboardInterrupt


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Makes an output with a file in its folder."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(saver, "_SECONDS", 0.01)

    def of(name, mirror=None, lease=None):
        folder = tmp_path / "work" / name
        folder.mkdir(parents=True)
        (folder / "file").write_text(name)
        return Output(f"gs://{name}", folder, mirror or Part(), lease or Part())

    return of


def kept_in(text):
    """Returns what the files hold whose folders a message names."""
    folders = [part.split("; ")[0] for part in text.split(" is in ")[1:]]
    return [Path(folder, "file").read_text() for folder in folders]


def test_every_output_that_fails_is_kept(make):
    outputs = [make(name, Part(push=fail)) for name in ("one", "two")]
    with pytest.raises(RefusedError) as error, Saver() as saving:
        for output in outputs:
            saving.take(output)
    assert kept_in(str(error.value)) == ["one", "two"]
    assert str(error.value).startswith("gs://one: the network is away; what")


def test_who_does_not_wait_for_the_end_finds_it_all(make):
    outputs = [make("one", Part(push=interrupt)), make("two")]
    with pytest.raises(RefusedError) as error, Saver() as saving:
        for output in outputs:
            saving.take(output)
    assert "interrupted before it was written" in str(error.value)
    assert kept_in(str(error.value)) == ["one"]
    assert outputs[1].mirror.asked == ["push"]


def test_a_lease_that_cannot_be_given_back_hides_nothing(make):
    lease = Part(leave=fail)
    with pytest.raises(RefusedError) as error, Saver() as saving:
        saving.take(make("one", Part(push=fail), lease))
    assert kept_in(str(error.value)) == ["one"]
    with Saver() as saving:
        saving.take(make("two", lease=lease))


def test_a_lease_is_renewed_while_a_file_takes_long(make):
    putting, done = threading.Event(), threading.Event()

    def put():
        putting.set()
        done.wait(5)
        return 0

    output = make("one", Part(push=put))
    with Saver() as saving:
        saving.take(output)
        saving.begin()
        assert putting.wait(5)
        before = output.lease.asked.count("renew")
        while output.lease.asked.count("renew") < before + 3:
            time.sleep(0.001)
        done.set()


def test_a_lease_that_is_lost_ends_the_program(make):
    def refuse():
        raise RefusedError("gs://one: in use by another")

    output = make("one", lease=Part(renew=refuse))
    with pytest.raises(RefusedError) as error, Saver() as saving:
        saving.take(output)
        time.sleep(60)
        pytest.fail("it went on")
    assert str(error.value).startswith("gs://one: in use by another; what")
    assert output.mirror.asked == []  # the folder is the other's
    assert kept_in(str(error.value)) == ["one"]


def test_a_store_that_fails_for_a_while_is_tried_again(make, capsys):
    def now_and_then():
        if output.mirror.asked.count("push") < 3:
            fail()
        return 1

    output = make("one", Part(push=now_and_then))
    with Saver() as saving:
        saving.take(output)
        saving.begin()
        while output.mirror.asked.count("push") < 3:
            time.sleep(0.001)
    out, err = capsys.readouterr()
    line = "gs://one: not written: the network is away; tried again in 0 s"
    assert err.splitlines() == [line, line]
    assert out == "gs://one: 1 files put there\n"


def test_an_output_that_was_never_begun_leaves_nothing(make, tmp_path):
    output = make("one", Part(push=fail))
    (output.folder / "file").unlink()
    output.folder.rmdir()
    with pytest.raises(RefusedError) as error, Saver() as saving:
        saving.take(output)
    assert str(error.value) == "gs://one: the network is away"
