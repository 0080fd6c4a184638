"""A little of every fault that `make soak` makes many times."""

import io
import re
import signal
import zipfile

import filelock
import hypothesis
import pytest

from kliep_tf.data.framing import read_records
from kliep_tf.errors import RefusedError, UserError, one_line, reason_of
from tests.conftest import run_program
from tests.faults import fuzzing, soak
from tests.faults.children import Outcome
from tests.faults.damage import (
    ANY,
    MUTATIONS,
    Change,
    Mutation,
    damaged,
    mutate,
    mutate_arrays,
    mutate_records,
)
from tests.faults.parts import Finding
from tests.faults.world import digest, leftovers


@pytest.fixture(scope="module")
def formats(tmp_path_factory):
    return fuzzing.readers(tmp_path_factory.mktemp("formats"))


@pytest.mark.parametrize("name", fuzzing.NAMES)
def test_reader_refuses_in_one_line_what_it_cannot_read(formats, name):
    formats[name].read()  # whole, it is read
    assert fuzzing.fuzz_reader(formats[name], 40, seed=1) == []


def test_fit_of_any_sample_is_finite_or_refused():
    assert fuzzing.fuzz_kliep(25, seed=1) == []


def test_conversion_killed_at_file_operations_ends_the_same(tmp_path):
    # In a process of its own: TensorFlow does not survive a fork once it ran.
    done = run_program(
        "tests.faults.soak",
        f"--output_dir={tmp_path}",
        "--only=kill",
        "--programs=convert_folder",
        "--scale=.2",
    )
    assert done.returncode == 0, done.stderr
    # The last operation may not be reached: threads make one more or less.
    row = re.search(r"\| kill \| 3 \| 3 \| (.*?) \|", done.stdout)
    assert row, done.stdout
    assert row[1] in (
        "continued, equal (3)",
        "continued, equal (2), was faster, equal (1)",
    )


def test_message_of_a_library_is_one_line_and_not_for_ever():
    error = ValueError(f"header {5000 * 'x'}\nmore")
    assert reason_of(error) == f"header {293 * 'x'}..."
    assert one_line(" a\n b ") == "a b"


# The suite itself: a fault that it would not see is worth nothing.


def test_two_soaks_do_not_share_a_directory(tmp_path):
    with (
        filelock.FileLock(tmp_path / ".lock"),
        pytest.raises(RefusedError, match="in use by another soak"),
    ):
        soak.soak(soak.SoakConfig(output_dir=str(tmp_path)))


def test_table_says_what_is_unfinished_and_what_failed(tmp_path):
    results = soak.Results(tmp_path / "results.json")
    results.begin("kill", 3)
    results.add("kill", Finding("a", 1, "", "continued"), 60.0, 90.0)
    results.add("kill", Finding("b", 1, "lost a file"), 60.0, 90.0)
    again = soak.Results(tmp_path / "results.json")
    assert again.failures == ["kill: b: lost a file"]
    row = "| kill | 2 of 3, unfinished | 2 | continued (1), **failed (1)** |"
    assert f"{row} 2.0 |" in again.table()
    assert "2 minutes of processor time, 3 by the clock" in again.table()


def test_changed_records_and_arrays_keep_checksums_that_fit(formats):
    path = formats["records"].path
    shard = path.read_bytes()
    npz = formats["features"].path.read_bytes()

    @hypothesis.settings(max_examples=20, derandomize=True, deadline=None)
    @hypothesis.given(MUTATIONS)
    def check(mutation):
        path.write_bytes(mutate_records(shard, mutation))
        assert all(data is not None for data, _ in read_records(path))
        with zipfile.ZipFile(io.BytesIO(mutate_arrays(npz, mutation))) as file:
            assert file.testzip() is None

    check()
    path.write_bytes(shard)


def test_smallest_damage_that_a_reader_fails_on_is_named(tmp_path):
    """One that fails where the third byte is no c."""
    path = tmp_path / "file"
    path.write_bytes(b"abcdefgh")

    def read():
        assert path.read_bytes()[2:3] == b"c"

    (found,) = fuzzing.fuzz_reader(fuzzing.Format(path, read), 300, seed=1)
    assert "file, Mutation(part=0, changes=[Change(kind=" in found
    assert found.count("Change(") == 1
    assert path.read_bytes() == b"abcdefgh"


def test_complaints_are_of_what_is_no_one_line():
    def fail(error):
        def function():
            raise error

        return fuzzing.complaint_of(function, "name")

    assert fail(UserError("name: expected")) == ""
    two_lines = UserError("name: a")
    two_lines.args = ("name: a\nb",)
    assert "no line" in fail(two_lines)
    assert "does not name" in fail(UserError("expected"))
    assert fail(KeyError("x")).startswith("KeyError")


@pytest.mark.parametrize(
    ("status", "output", "complaint"),
    [
        (0, "done\n", ""),
        (65, "error: a: expected b\n", ""),
        (1, "nothing\n", "without a line"),
        (70, "Traceback (most recent call last):\nKeyError: 1\n", "KeyError"),
        (65, "error: {{function_node x}} bad\n", "TensorFlow's notes"),
        (-signal.SIGSEGV, "", "status -11 without a line"),
    ],
)
def test_orderly_ends_are_told_from_others(status, output, complaint):
    found = Outcome(status, output, operations=0, seconds=0.0).complaint
    assert complaint in found
    assert bool(found) == bool(complaint)


def test_damage_is_taken_back(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    modified = path.stat().st_mtime_ns
    for kind in ANY:
        with damaged(str(path), kind):
            assert path.read_bytes() != b"0123456789"
    assert path.read_bytes() == b"0123456789"
    assert path.stat().st_mtime_ns == modified


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("replace", b"01A3456789"),
        ("flip", b"0103456789"),
        ("cut", b"01"),
        ("drop", b"0156789"),
        ("repeat", b"0123423456789"),
    ],
)
def test_changes_are_what_they_are_called(kind, expected):
    change = Change(kind, place=12, length=3, byte=65)
    assert mutate(b"0123456789", Mutation(0, [change])) == expected
    mutate(b"", Mutation(0, [change]))  # there may be nothing left to change


def test_half_files_and_other_contents_are_seen(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"1")
    before = digest(str(tmp_path))
    assert leftovers(str(tmp_path)) == []
    (tmp_path / "a.npz").write_bytes(b"2")
    (tmp_path / ".b.npz.partial").write_bytes(b"half")
    assert digest(str(tmp_path)) != before
    assert leftovers(str(tmp_path)) == [".b.npz.partial"]
    assert Finding("case").count == 1


def test_last_checkpoint_counts_and_those_before_do_not(tmp_path):
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    for step in (2, 4, 10):
        (folder / f"ckpt-{step}.index").write_bytes(b"")
        name = f"ckpt-{step}.data-00000-of-00001"
        (folder / name).write_bytes(b"0")
    before = digest(str(tmp_path))
    assert list(before) == ["checkpoints/ckpt-10.data-00000-of-00001"]
    (folder / "ckpt-2.index").unlink()
    (folder / "ckpt-2.data-00000-of-00001").unlink()
    assert digest(str(tmp_path)) == before
    (folder / "ckpt-10.data-00000-of-00001").write_bytes(b"1")
    assert digest(str(tmp_path)) != before
