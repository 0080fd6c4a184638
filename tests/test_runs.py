import dataclasses
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kliep_tf import cli, runs
from kliep_tf.errors import UserError

ROOT = Path(__file__).resolve().parent.parent


@dataclasses.dataclass(frozen=True)
class Config:
    size: int = cli.flag("a size", default=1)
    workers: int = cli.flag("workers", default=1, affects_output=False)


@dataclasses.dataclass(frozen=True)
class Reader:
    records: str = cli.flag("records", read_as="records")


def claim(directory, config=None, **options):
    return runs.claim(directory, "program", config or Config(), **options)


def test_finished_work_is_known_as_finished(tmp_path):
    with claim(tmp_path / "out") as first:
        assert not first.finished
        first.finish(images=3)
    with claim(tmp_path / "out") as second:
        assert second.finished
    record = runs.read_config(tmp_path / "out")
    assert record["results"] == {"images": 3}
    assert record["arguments"] == {"size": 1, "workers": 1}
    assert "python" in record["versions"]


def test_interrupted_work_is_not_finished(tmp_path):
    with pytest.raises(KeyboardInterrupt), claim(tmp_path):
        raise KeyboardInterrupt
    with claim(tmp_path) as again:
        assert not again.finished


def test_other_arguments_are_refused_by_name(tmp_path):
    with claim(tmp_path):
        pass
    with (
        pytest.raises(UserError, match=r"--size=1.*--size=2"),
        claim(tmp_path, Config(size=2)),
    ):
        pass


def test_moved_output_is_known(tmp_path, monkeypatch):
    @dataclasses.dataclass(frozen=True)
    class Writer:
        run_dir: str = cli.flag("where it goes")

    with claim(tmp_path / "a", Writer(str(tmp_path / "a"))) as first:
        first.finish()
    (tmp_path / "a").rename(tmp_path / "b")
    monkeypatch.chdir(tmp_path)
    for path in ("b", "./b", str(tmp_path / "b")):
        with claim(path, Writer(path)) as again:
            assert again.finished


def test_input_is_known_by_its_content_not_by_its_path(tmp_path):
    def read(path, **inputs):
        return claim(tmp_path / "out", Reader(path), inputs=inputs)

    with read("a", records="1"):
        pass
    with read("./a", records="1"):
        pass
    with (
        pytest.raises(
            UserError, match=r"records have changed.*--records=a, found b,"
        ),
        read("b", records="2"),
    ):
        pass
    # Of what has no fingerprint, the path is all that is known.
    with (
        pytest.raises(UserError, match=r"made with --records=a"),
        read("./a"),
    ):
        pass


def test_a_flag_names_the_same_file_however_it_is_spelled(
    tmp_path, monkeypatch
):
    @dataclasses.dataclass(frozen=True)
    class Named:
        flagfile: str = cli.flag("a file")

    (tmp_path / "a").write_text("")
    (tmp_path / "b").write_text("")
    monkeypatch.chdir(tmp_path)
    for path in ("a", "./a", str(tmp_path / "a")):
        with claim("out", Named(path)):
            pass
    with (
        pytest.raises(UserError, match="--flagfile=a, now asked for"),
        claim("out", Named("b")),
    ):
        pass


def test_number_of_workers_may_change(tmp_path):
    with claim(tmp_path):
        pass
    with claim(tmp_path, Config(workers=8)):
        pass


def test_flag_that_an_older_record_lacks_had_its_default(tmp_path):
    @dataclasses.dataclass(frozen=True)
    class NewerConfig(Config):
        words: tuple[str, ...] = cli.flag("words", default=("a",))

    with claim(tmp_path):
        pass
    with claim(tmp_path, NewerConfig()):
        pass
    with (
        pytest.raises(UserError, match=r"--words=a.*--words=b"),
        claim(tmp_path, NewerConfig(words=("b",))),
    ):
        pass


def test_changed_inputs_are_refused(tmp_path):
    with claim(tmp_path, inputs={"records": "a"}):
        pass
    with (
        pytest.raises(UserError, match="records have changed"),
        claim(tmp_path, inputs={"records": "b"}),
    ):
        pass


def test_overwrite_begins_anew_only_where_something_changed(tmp_path):
    for config, found in (
        (Config(1), False),
        (Config(2), False),
        (Config(2), True),
    ):
        with claim(tmp_path, config, overwrite=True) as made:
            assert made.finished == found
            made.finish()
    with (
        pytest.raises(UserError, match="one of program"),
        runs.claim(tmp_path, "other", Config(), overwrite=True),
    ):
        pass


def test_somebody_elses_directory_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    with (
        pytest.raises(UserError, match=r"thesis\.txt"),
        claim(tmp_path),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_another_programs_output_is_refused(tmp_path):
    with claim(tmp_path):
        pass
    with (
        pytest.raises(UserError, match="one of program"),
        runs.claim(tmp_path, "other", Config()),
    ):
        pass


@pytest.mark.parametrize("parts", [("train", "output"), ("output", "train")])
def test_all_of_a_directory_is_not_shared_with_another_program(tmp_path, parts):
    """Translating into the source's own records would find them all there."""
    first, second = parts
    with claim(tmp_path, part=first):
        pass
    with (
        pytest.raises(UserError, match="expected an output of other, found"),
        runs.claim(tmp_path, "other", Config(), part=second),
    ):
        pass


def test_outputs_of_one_program_share_a_directory_by_parts(tmp_path):
    with claim(tmp_path, part="train") as found:
        found.finish()
    with claim(tmp_path, part="all") as found:
        assert not found.finished
    other = runs.claim(tmp_path, "other", Config(), part="val")
    with pytest.raises(UserError, match="expected an output of other, found"):
        other.__enter__()


def test_run_killed_while_it_wrote_its_claim_begins_again(tmp_path):
    (tmp_path / f".{runs.CONFIG}.partial").write_text('{"parts": {"ou')
    with claim(tmp_path) as found:
        assert not found.finished


def test_full_disk_is_told_by_the_files_name_and_leaves_no_part_of_it(
    tmp_path,
):
    code = (
        "import resource, sys; sys.path.insert(0, '.')\n"
        "from kliep_tf import runs\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: runs.write_atomically(sys.argv[1], bytes(5000))\n"
        "except OSError as error: print(error.filename, error.strerror)\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "file")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout == f"{tmp_path / 'file'} File too large\n"
    assert not list(tmp_path.iterdir())


def test_two_parts_share_a_directory(tmp_path):
    for part in ("train", "val"):
        with claim(tmp_path, Config(len(part)), part=part) as found:
            found.finish()
    assert runs.read_config(tmp_path, "train")["arguments"]["size"] == 5
    assert runs.read_config(tmp_path, "val")["arguments"]["size"] == 3


def test_directory_in_use_by_another_process_is_refused(tmp_path):
    with claim(tmp_path):
        code = (
            "from tests.test_runs import claim\n"
            f"with claim({str(tmp_path)!r}): pass\n"
        )
        found = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
        )
    assert "in use by another process" in found.stderr


def test_lock_of_a_killed_process_blocks_nobody(tmp_path):
    code = (
        "import os, signal\n"
        "from tests.test_runs import claim\n"
        f"with claim({str(tmp_path)!r}): os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT)
    assert ended.returncode == -signal.SIGKILL
    assert (tmp_path / ".lock").exists()
    with claim(tmp_path) as again:
        assert not again.finished


def test_atomic_write_leaves_only_the_file(tmp_path):
    runs.write_atomically(tmp_path / "file", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "text"


def test_half_written_files_of_this_directory_alone_are_swept(tmp_path):
    out = tmp_path / "out"
    with claim(out):
        pass
    (out / "images").mkdir()
    with claim(out / "inner"):  # a run of its own, which may be at work
        pass
    mine = [out / ".a.npz.partial", out / "images" / ".b.png.partial"]
    others = [out / "inner" / ".c.partial", out / "d.partial"]
    for path in mine + others:
        path.write_text("half")
    with claim(out):
        pass
    assert not any(path.exists() for path in mine)
    assert all(path.exists() for path in others)


@pytest.fixture
def disk(tmp_path):
    """A small disk, and the function that makes it read-only."""
    path = tmp_path / "disk"
    path.mkdir()

    def mount(*arguments):
        done = subprocess.run(
            ["mount", *arguments, str(path)], capture_output=True, text=True
        )
        if done.returncode:
            pytest.skip(f"mount is not permitted: {done.stderr.strip()}")

    mount("-t", "tmpfs", "-o", "size=64k", "tmpfs")
    yield path, lambda: mount("-o", "remount,ro")
    subprocess.run(["umount", str(path)], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a tmpfs")
def test_read_only_disk_tells_what_is_finished(disk):
    path, make_read_only = disk
    with claim(path / "done") as first:
        first.finish()
    with claim(path / "begun"):
        pass
    make_read_only()
    with claim(path / "done") as again:
        assert again.finished
    with (
        pytest.raises(OSError, match="Read-only") as error,
        claim(path / "begun"),
    ):
        pass
    assert error.value.filename == str(path / "begun")
    with (
        pytest.raises(UserError, match=r"--size=1.*--size=2"),
        claim(path / "done", Config(size=2)),
    ):
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a tmpfs")
def test_full_disk_names_the_file_and_keeps_nothing_half(disk):
    path, _ = disk
    runs.write_atomically(path / "whole", b"a")
    with pytest.raises(OSError, match="No space") as error:
        runs.write_atomically(path / "large", bytes(2**20))
    assert error.value.filename == str(path / "large")
    assert [entry.name for entry in path.iterdir()] == ["whole"]


def test_two_writers_of_one_file_have_a_temporary_each(tmp_path):
    path = tmp_path / "file"
    other = tmp_path / ".file.partial"
    other.write_bytes(b"half of another's")
    runs.write_atomically(path, b"whole", attempt=".mine")
    assert path.read_bytes() == b"whole"
    assert other.read_bytes() == b"half of another's"
    assert len(list(tmp_path.iterdir())) == 2
