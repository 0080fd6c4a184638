"""An input is known again as a copy, and not as anything else."""

import dataclasses
import os
import pickle
import shutil

import pytest

from kliep_tf import cli, fingerprints, runs
from kliep_tf.data import records
from kliep_tf.errors import UserError


@dataclasses.dataclass(frozen=True)
class Config:
    records: str = cli.flag("what is read", read_as="records")
    out: str = cli.flag("where it goes")


@pytest.fixture
def shards(tmp_path):
    """Two shards of two records."""
    directory = tmp_path / "shards"
    directory.mkdir()
    for name in ("a.tfrecord", "b.tfrecord"):
        examples = [name.encode() * 100, b"x" * 5000]
        records.write_shard(directory / name, examples)
    return directory


def claim(directory, out, **options):
    paths = fingerprints.files_of(directory)
    return runs.claim(
        out,
        "tests.reader",
        Config(str(directory), str(out)),
        inputs={"records": fingerprints.of(paths)},
        **options,
    )


def test_fingerprint_changes_with_a_file(tmp_path):
    file = tmp_path / "shard"
    file.write_text("a")
    first = fingerprints.of([file])
    assert fingerprints.of([file]) == first
    file.write_text("ab")
    assert fingerprints.of([file]) != first


def copied(directory, to):
    """Returns a copy that has times of its own, as of `cp -r`."""
    shutil.copytree(directory, to, copy_function=shutil.copyfile)
    for path in fingerprints.files_of(to):
        os.utime(path, (1e9, 1e9))
    return to


def test_copies_of_input_and_output_without_their_times_continue(
    shards, tmp_path
):
    with claim(shards, tmp_path / "out") as first:
        first.finish()
    shards = copied(shards, tmp_path / "copy")
    out = copied(tmp_path / "out", tmp_path / "another")
    for _ in range(2):
        with claim(shards, out) as again:
            assert again.finished


@pytest.mark.parametrize("whole", [True, False])
def test_copy_with_another_byte_is_refused(
    whole, shards, tmp_path, monkeypatch
):
    if not whole:
        monkeypatch.setattr(fingerprints, "_MOST_BYTES_READ", 0)
    with claim(shards, tmp_path / "out"):
        pass
    other = copied(shards, tmp_path / "copy")
    # The middle of the middle: neither end of the file.
    examples = [b"b.tfrecord" * 100, b"x" * 2500 + b"y" + b"x" * 2499]
    records.write_shard(other / "b.tfrecord", examples)
    assert (other / "b.tfrecord").stat().st_size == (
        shards / "b.tfrecord"
    ).stat().st_size
    with (
        pytest.raises(UserError, match="records have changed"),
        claim(other, tmp_path / "out"),
    ):
        pass


def test_file_of_another_kind_is_known_by_all_bytes_or_by_its_ends(
    tmp_path, monkeypatch
):
    file = tmp_path / "image.png"

    def content(data):
        file.write_bytes(data)
        return fingerprints.of([file]).content()

    zeros = bytes(100_000)
    middle = zeros[:50_000] + b"1" + zeros[50_001:]
    end = zeros[:-1] + b"1"
    assert len({content(one) for one in (zeros, middle, end)}) == 3
    monkeypatch.setattr(fingerprints, "_MOST_BYTES_READ", 0)
    assert len({content(one) for one in (zeros, middle, end)}) == 2


def test_record_older_than_contents_knows_the_times_alone(shards, tmp_path):
    with claim(shards, tmp_path / "out"):
        pass
    path = tmp_path / "out" / runs.CONFIG
    path.write_text(path.read_text().replace('"contents"', '"unknown"'))
    with claim(shards, tmp_path / "out"):
        pass
    os.utime(shards / "a.tfrecord", (1e9, 1e9))
    with (
        pytest.raises(UserError, match="records have changed"),
        claim(shards, tmp_path / "out"),
    ):
        pass


def test_fingerprint_reaches_another_process(tmp_path):
    (tmp_path / "file").write_text("content")
    fingerprint = fingerprints.of([tmp_path / "file"])
    again = pickle.loads(pickle.dumps(fingerprint))
    assert again == fingerprint
    assert again.content() == fingerprint.content()
