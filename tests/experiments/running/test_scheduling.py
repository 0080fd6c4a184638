import json
import multiprocessing
import os
import signal
import sys
import time

import pytest

from kliep_tf import runs
from kliep_tf.errors import UserError
from kliep_tf.experiments.running.boards import TIMINGS, LogBoard
from kliep_tf.experiments.running.jobs import Job, Output
from kliep_tf.experiments.running.scheduling import run_jobs
from tests.conftest import ROOT
from tests.experiments.running import run_a_stage

TINY = "tests.experiments.running.tiny_program"
# Its processes begin with what they need imported already, once for all.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([run_a_stage.__name__])


def make(number, **flags):
    return Job(
        f"number {number}", TINY, "output_dir", {"number": number, **flags}
    )


def run(cache, *jobs, **options):
    run_jobs(jobs, cache, LogBoard(cache), **options)


@pytest.fixture(autouse=True)
def from_the_checkout(monkeypatch):
    monkeypatch.chdir(ROOT)


def result(job, cache, name="number"):
    return (job.output_dir(cache) / name).read_text()


def test_a_job_runs_after_those_it_reads(tmp_path, capfd):
    job = make(2, add=Output(make(1)))
    run(tmp_path, job)
    assert result(job, tmp_path) == "3"
    ends = [
        line.split(": ", 1)[1].split(";")[0]
        for line in capfd.readouterr().out.splitlines()
        if line.startswith("[")
    ]
    assert ends == ["number 1", "number 2"]


def test_what_is_complete_is_not_run_again(tmp_path, capfd):
    run(tmp_path, make(1))
    before = (make(1).output_dir(tmp_path) / "number").stat().st_mtime_ns
    capfd.readouterr()
    run(tmp_path, make(1))
    assert "1 of 1 jobs were done earlier" in capfd.readouterr().out
    after = (make(1).output_dir(tmp_path) / "number").stat().st_mtime_ns
    assert before == after


def test_failure_names_the_job_its_last_line_and_its_log(tmp_path):
    with pytest.raises(UserError) as caught:
        run(tmp_path, make(1, fail=True))
    message = str(caught.value)
    assert message.startswith(f"number 1: {TINY} ended with status 1")
    assert "error: told to fail" in message
    assert f"{tmp_path}/logs/tiny_program-" in message


def test_status_0_alone_does_not_make_a_job_complete(tmp_path):
    # What needs it would wait for ever, what reports on it read half of it.
    job = make(2, add=Output(make(1, incomplete=True)))
    with pytest.raises(UserError) as caught:
        run(tmp_path, job)
    message = str(caught.value)
    assert message.startswith(f"number 1: {TINY} ended with status 0; ")
    assert f"{runs.CONFIG} to say complete" in message


@pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="needs two cores that a process can be bound to",
)
def test_jobs_that_run_at_once_share_the_cores(tmp_path):
    jobs = [make(1), make(2)]
    run(tmp_path, *jobs, parallel=2)
    cores = [json.loads(result(job, tmp_path, "cores")) for job in jobs]
    assert not set(cores[0]) & set(cores[1])
    assert set(cores[0]) | set(cores[1]) == os.sched_getaffinity(0)


def test_each_named_device_has_one_job_at_a_time(tmp_path):
    jobs = [make(number) for number in (1, 2)]
    run(tmp_path, *jobs, devices=("3", "5"))
    assert [result(job, tmp_path, "device") for job in jobs] == ["3", "5"]


def begin_in_a_process(cache, seconds):
    """Runs a job from a process of its own, and waits until it is at work.

    Returns:
        The process and the job.
    """
    process = FORKS.Process(target=run_a_stage.run_stage, args=(cache, seconds))
    process.start()
    job = run_a_stage.make_stage(seconds)
    wait_for(job.output_dir(cache) / "begun")
    return process, job


def wait_for(path) -> None:
    deadline = time.monotonic() + 120
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.1)


def test_ctrl_c_leaves_jobs_the_time_to_save_and_is_timed(tmp_path):
    process, job = begin_in_a_process(tmp_path, seconds=60.0)
    os.kill(process.pid, signal.SIGINT)
    process.join(timeout=120)
    assert process.exitcode
    assert (job.output_dir(tmp_path) / "saved").exists()
    assert not job.is_complete(tmp_path)
    entry = json.loads((tmp_path / TIMINGS).read_text())["stages"]["nap"]
    assert not entry["complete"]
    assert entry["attempts"] == 1
    assert entry["seconds"] > 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child")
def test_jobs_of_a_killed_process_stop_as_by_ctrl_c(tmp_path):
    process, job = begin_in_a_process(tmp_path, seconds=600.0)
    process.kill()
    process.join()
    saved = job.output_dir(tmp_path) / "saved"
    wait_for(saved)
    assert saved.exists()
