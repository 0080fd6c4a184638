"""Jobs by Dask against jobs run here; skipped without the extra [dask]."""

import importlib.util

import pytest

from kliep_tf.errors import UserError
from kliep_tf.experiments.running.boards import LogBoard
from kliep_tf.experiments.running.dask_jobs import run_jobs_on_dask
from kliep_tf.experiments.running.jobs import Job, Output
from kliep_tf.experiments.running.scheduling import run_jobs
from tests.conftest import ROOT

TINY = "tests.experiments.running.tiny_program"
HAS_DASK = importlib.util.find_spec("distributed") is not None
needs_dask = pytest.mark.skipif(
    not HAS_DASK, reason="needs distributed, of the extra [dask]"
)


def make(number, **flags):
    return Job(
        f"number {number}", TINY, "output_dir", {"number": number, **flags}
    )


@pytest.fixture(autouse=True)
def from_the_checkout(monkeypatch):
    monkeypatch.chdir(ROOT)


def outputs(root):
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.glob("*/number")
    }


@needs_dask
def test_outputs_are_those_of_a_local_run(tmp_path, capfd):
    jobs = [make(4, add=Output(make(2, add=Output(make(1))))), make(3)]
    run_jobs(jobs, tmp_path / "here", LogBoard(tmp_path / "here"))
    root = tmp_path / "dask"
    run_jobs_on_dask(jobs, root, LogBoard(root), parallel=2)
    here = outputs(tmp_path / "here")
    assert sorted(here.values()) == [b"1", b"3", b"3", b"7"]
    assert outputs(root) == here
    capfd.readouterr()
    run_jobs_on_dask(jobs, root, LogBoard(root))
    assert "4 of 4 jobs were done earlier" in capfd.readouterr().out


@needs_dask
def test_a_failed_job_is_named_and_those_that_need_it_do_not_run(tmp_path):
    bad = make("x")
    with pytest.raises(UserError, match=r"number x: .* ended with status 1;"):
        run_jobs_on_dask(
            [make(1, add=Output(bad))], tmp_path, LogBoard(tmp_path)
        )
    assert outputs(tmp_path) == {}


@pytest.mark.skipif(HAS_DASK, reason="Dask is installed")
def test_missing_dask_says_what_to_install(tmp_path):
    with pytest.raises(UserError, match=r"pip install 'kliep_tf\[dask\]'"):
        run_jobs_on_dask([make(1)], tmp_path, LogBoard(tmp_path))
