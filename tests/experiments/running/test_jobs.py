import dataclasses
import json

import pytest

from kliep_tf import runs
from kliep_tf.errors import UserError
from kliep_tf.experiments.running.jobs import (
    Job,
    Output,
    Records,
    Tensors,
    in_order,
    write_manifest,
)
from tests.conftest import write_records
from tests.experiments.running.tiny_program import TinyConfig


def make(number=1, flagfile="", **flags):
    return Job(
        f"number {number}",
        "tests.experiments.running.tiny_program",
        "output_dir",
        {"number": number, **flags},
        flagfile,
    )


def test_equal_jobs_share_one_output_and_others_do_not(tmp_path):
    assert make(1).output_dir(tmp_path) == make(1).output_dir(tmp_path)
    assert make(1).output_dir(tmp_path) != make(2).output_dir(tmp_path)


def test_a_title_does_not_change_the_identity(tmp_path):
    other = Job("x", make().module, "output_dir", {"number": 1})
    assert other.digest == make().digest
    assert make().output_dir(tmp_path).name == f"tiny_program-{make().digest}"


def test_identity_follows_what_a_job_reads():
    readers = [make(3, add=Output(make(number))) for number in (1, 2, 1)]
    assert readers[0].digest == readers[2].digest != readers[1].digest


def test_identity_follows_the_records_themselves(tmp_path):
    digests = []
    for number in (4, 6):
        records = write_records(
            tmp_path / str(number), number=number, sky=0.5, bright=True
        )
        digests.append(make(add=Records(str(records))).digest)
    assert digests[0] != digests[1]


def test_comments_of_a_flagfile_do_not_count_its_flags_do(tmp_path):
    digests = []
    for text in ("--seconds=1\n", "# why\n--seconds=1\n", "--seconds=2\n"):
        path = tmp_path / "flags"
        path.write_text(text)
        digests.append(make(flagfile=str(path)).digest)
    assert digests[0] == digests[1] != digests[2]


def test_flags_of_a_nested_flagfile_count_as_if_they_stood_there(tmp_path):
    flat, inner, outer = (tmp_path / name for name in ("f", "i", "o"))
    flat.write_text("--seconds=1\n--fail\n")
    outer.write_text(f"# in two files\n--flagfile={inner}\n--fail\n")
    digests = []
    for seconds in (1, 2):
        inner.write_text(f"--seconds={seconds}\n")
        digests.append(make(flagfile=str(outer)).digest)
    assert digests[0] == make(flagfile=str(flat)).digest != digests[1]


def test_a_value_below_its_flag_counts(tmp_path):
    path = tmp_path / "flags"
    digests = []
    for text in ("--seconds\n1\n", "--seconds\n// why\n1\n", "--seconds\n2\n"):
        path.write_text(text)
        digests.append(make(flagfile=str(path)).digest)
    assert digests[0] == digests[1] != digests[2]


def test_pretrained_weights_that_a_flagfile_names_count(tmp_path):
    path, weights = tmp_path / "flags", tmp_path / "weights.npz"
    path.write_text(f"--backbone_weights={weights}\n")
    digests = [make(flagfile=str(path)).digest]
    for content in (b"some", b"others"):
        weights.write_bytes(content)
        digests.append(make(flagfile=str(path)).digest)
    assert len(set(digests)) == 3


def test_a_flagfile_within_itself_is_refused(tmp_path):
    path = tmp_path / "flags"
    path.write_text(f"--flagfile={path}\n")
    with pytest.raises(UserError, match="found it within itself"):
        _ = make(flagfile=str(path)).digest


def test_identity_follows_pretrained_weights(tmp_path):
    path = tmp_path / "weights.npz"
    digests = []
    for content in (b"some", b"others"):
        path.write_bytes(content)
        digests.append(make(add=Tensors(str(path))).digest)
    assert digests[0] != digests[1]
    words = make(add=Tensors(str(path))).command(tmp_path)
    assert words[-1] == f"--add={path}"


def test_missing_pretrained_weights_are_one_line():
    with pytest.raises(UserError, match=r"none\.npz: expected a file of"):
        _ = make(add=Tensors("none.npz")).digest


def test_missing_flagfile_is_one_line():
    with pytest.raises(UserError, match=r"none\.flags: expected"):
        _ = make(flagfile="none.flags").digest


def test_makers_come_first_and_once():
    maker = make(1)
    readers = [make(number, add=Output(maker)) for number in (2, 3)]
    assert [job.title for job in in_order(readers)] == [
        "number 1",
        "number 2",
        "number 3",
    ]


def test_manifest_names_output_and_command(tmp_path):
    job = make(2, add=Output(make(1), "part"))
    write_manifest(tmp_path / "jobs.json", {"sum": job}, tmp_path / "cache")
    entry = json.loads((tmp_path / "jobs.json").read_text())["sum"]
    maker = tmp_path / "cache" / make(1).name
    assert entry["output"] == str(tmp_path / "cache" / job.name)
    assert entry["command"] == (
        "python -m tests.experiments.running.tiny_program "
        f"--output_dir={entry['output']} --number=2 --add={maker}/part"
    )


def test_a_job_may_have_a_place_of_its_own(tmp_path):
    job = dataclasses.replace(make(1), place="records/all")
    assert job.output_dir(tmp_path) == tmp_path / "records" / "all"
    assert job.digest != make(1).digest
    reader = make(2, add=Output(job, "all-*"))
    words = reader.command(tmp_path)
    assert words[-1] == f"--add={tmp_path}/records/all/all-*"


def test_parts_of_a_directory_are_complete_one_by_one(tmp_path):
    parts = {
        part: dataclasses.replace(make(1), place="records", part=part)
        for part in ("train", "val")
    }
    config = TinyConfig(output_dir="")
    directory = tmp_path / "records"
    assert not parts["train"].is_complete(tmp_path)
    with runs.claim(directory, "tiny", config, part="train") as claim:
        assert not parts["train"].is_complete(tmp_path)
        claim.finish()
    assert parts["train"].is_complete(tmp_path)
    assert not parts["val"].is_complete(tmp_path)
