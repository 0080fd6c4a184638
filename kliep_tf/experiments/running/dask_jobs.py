"""Jobs run by Dask: on the workers of a cluster, each when its makers are done.

Dask decides what runs where. A worker starts the job's program as a process of
its own, as `scheduling` does here, and hands back how it ended. Outputs lie
under one directory that all workers see. Dask is imported here alone.
"""

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kliep_tf.errors import RefusedError, UserError
from kliep_tf.experiments.running.boards import Board
from kliep_tf.experiments.running.jobs import Job, in_order
from kliep_tf.experiments.running.scheduling import why_failed

_CONNECT_SECONDS = 30


def run_jobs_on_dask(
    jobs: Sequence[Job],
    root: str | os.PathLike,
    board: Board,
    *,
    scheduler: str = "",
    parallel: int = 1,
) -> None:
    """Runs these jobs and all they need; what is complete is not run again.

    When one fails, those that have not begun are left out; what runs then runs
    to its end, and the same call continues.

    Args:
        jobs: what is wanted.
        root: the directory of all outputs, under the same path everywhere.
        board: hears of a job when Dask does, and says where its output goes.
        scheduler: address of Dask's scheduler, such as "tcp://host:8786"; ""
            for a cluster on this machine.
        parallel: jobs at once on this machine's.

    Raises:
        UserError: Dask is missing or cannot be reached, or a job failed.
    """
    root = Path(root).absolute()
    everything = in_order(jobs)
    waiting = [job for job in everything if not job.is_complete(root)]
    done = [job for job in everything if job not in waiting]
    board.finds(done, len(everything))
    if not waiting:
        return
    with _client(scheduler, parallel) as client:
        futures = _submit(client, waiting, root, board)
        try:
            _gather(futures, root, board)
        finally:
            client.cancel(list(futures))


def run_command(
    words: Sequence[str], log: str, makers: Sequence[tuple[int, float]]
) -> tuple[int, float]:
    """Runs one program on a worker; returns its exit status and seconds.

    Args:
        words: the command.
        log: file for what it prints; "" for the worker's own output.
        makers: results of the jobs that it reads; Dask waits for them.
    """
    if any(status for status, _ in makers):
        return 1, 0.0  # it would read what is not there
    begin = time.monotonic()
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(open(log, "ab")) if log else None
        status = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT if file else None,
            check=False,
        ).returncode
    return status, time.monotonic() - begin


def _submit(
    client: Any, waiting: Sequence[Job], root: Path, board: Board
) -> dict[Any, Job]:
    """Hands all jobs to Dask; returns them by their futures."""
    by_digest: dict[str, Any] = {}
    for job in waiting:
        log = board.log_of(job)
        board.begins(job)
        by_digest[job.digest] = client.submit(
            run_command,
            job.command(root),
            str(log.absolute()) if log else "",
            [
                by_digest[maker.digest]
                for maker in job.needs
                if maker.digest in by_digest
            ],
            key=job.name,
            # The output is on disk: equal calls are not equal results.
            pure=False,
        )
    return {by_digest[job.digest]: job for job in waiting}


def _gather(futures: dict[Any, Job], root: Path, board: Board) -> None:
    """Waits for all jobs; raises a UserError for the first that failed."""
    from distributed import as_completed

    left = len(futures)
    for future in as_completed(list(futures)):
        job = futures[future]
        status, seconds = future.result()
        left -= 1
        failure = why_failed(job, status, root, board.log_of(job))
        if failure:
            board.stops(job, seconds)
            raise UserError(failure)
        board.ends(job, seconds, left)


@contextlib.contextmanager
def _client(scheduler: str, parallel: int) -> Iterator[Any]:
    try:
        import distributed
    except ImportError:
        raise UserError(
            "--executor=dask: expected Dask, found it not installed; "
            "pip install 'kliep_tf[dask]'"
        ) from None
    if not scheduler:
        # Threads are enough: a job is a process of its own.
        with (
            distributed.LocalCluster(
                n_workers=parallel,
                threads_per_worker=1,
                processes=False,
                dashboard_address=None,
            ) as cluster,
            distributed.Client(cluster) as client,
        ):
            yield client
        return
    try:
        connected = distributed.Client(scheduler, timeout=_CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        raise RefusedError(
            f"--dask_scheduler={scheduler}: expected a scheduler of Dask, "
            f"found none ({' '.join(str(error).split())[:100]})"
        ) from None
    with connected as client:
        yield client
