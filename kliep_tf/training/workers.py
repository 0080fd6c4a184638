"""Several processes that train one model: which is which, and which is lost.

TensorFlow's MultiWorkerMirroredStrategy runs the same program on every machine
and describes the machines in the environment variable TF_CONFIG. Worker 0, the
chief, alone writes; all of them read the same checkpoint from a shared disk.
"""

import contextlib
import dataclasses
import faulthandler
import os
import sys
from collections.abc import Iterator

import tensorflow as tf

from kliep_tf.errors import RefusedError, UserError, reason_of
from kliep_tf.json_files import parse_json

_TF_CONFIG = "TF_CONFIG"
_EXAMPLE = (
    '{"cluster": {"worker": ["host0:12345", "host1:12345"]}, '
    '"task": {"type": "worker", "index": 0}}'
)
# What a collective operation raises when a worker is gone: its connection was
# closed, or it has sent no heartbeat for ten seconds.
_LOSS = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
)


@dataclasses.dataclass(frozen=True)
class Worker:
    """This process among those that train together.

    Attributes:
        index: its number, from 0.
        count: of all workers.
    """

    index: int = 0
    count: int = 1

    @property
    def is_chief(self) -> bool:
        """Whether this is the one that writes."""
        return self.index == 0


def this_worker(distribution: str) -> Worker:
    """Returns the worker that TF_CONFIG says this process is.

    Raises:
        UserError: `distribution` is multi_worker and TF_CONFIG is missing or
            unusable.
    """
    if distribution != "multi_worker":
        return Worker()
    text = os.environ.get(_TF_CONFIG, "")
    if not text:
        raise _tf_config_error("nothing")
    try:
        config = parse_json(text, _TF_CONFIG, "JSON", dict)
        addresses = config["cluster"]["worker"]
        index = config["task"]["index"]
        roles = {*config["cluster"], config["task"]["type"]}
    except (ValueError, KeyError, TypeError):
        raise _tf_config_error(text) from None
    # A job called "chief", parameter servers or evaluators are other set-ups.
    known = roles == {"worker"} and isinstance(addresses, list)
    if not known or index not in range(len(addresses)):
        raise _tf_config_error(text)
    return Worker(index, len(addresses))


@contextlib.contextmanager
def joining(worker: Worker, seconds: float) -> Iterator[None]:
    """Ends this process with status 1 if the others do not join in time.

    TensorFlow waits for them inside C++, without end, and holds Python's lock
    meanwhile: no thread and no signal handler runs, and Ctrl-C has no effect.
    faulthandler's watchdog needs no lock and can end the wait. It cannot print
    a message of ours (its traceback is thrown away), so that comes before.
    """
    if worker.count == 1:
        yield
        return
    print(
        f"worker {worker.index}: waiting up to {seconds:.0f} s for all "
        f"{worker.count} workers of {_TF_CONFIG}, then ending with status 1",
        file=sys.stderr,
        flush=True,
    )
    with open(os.devnull, "w") as nowhere:
        faulthandler.dump_traceback_later(seconds, exit=True, file=nowhere)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()


@contextlib.contextmanager
def loss_as_user_error(worker: Worker) -> Iterator[None]:
    """Turns the failure of another worker into a RefusedError."""
    try:
        yield
    except _LOSS as error:
        if worker.count == 1:
            raise
        raise RefusedError(
            f"worker {worker.index}: expected all {worker.count} workers to "
            "stay, found one lost; start all of them again, they continue from "
            f"the last checkpoint ({reason_of(error)})"
        ) from error


class Team:
    """This worker and the strategy that connects it to the others.

    Attributes:
        worker: this process.
    """

    def __init__(
        self,
        strategy: tf.distribute.Strategy | None = None,
        worker: Worker = Worker(),
    ):
        """Takes the strategy, which may be left out where one works alone."""
        self.worker = worker
        self._strategy = strategy

    def any(self, flag: bool) -> bool:
        """Returns whether `flag` is True on some worker; all have to ask."""
        if self.worker.count == 1:
            return flag
        return self._total(float(flag)) > 0

    def require_same(self, number: int, meaning: str) -> None:
        """Raises a UserError unless `number` is the same on all workers.

        Args:
            number: below 2**53.
            meaning: what it is, for the message.
        """
        if self.worker.count == 1 or self._strategy is None:
            return
        mean = self._total(float(number)) / self._strategy.num_replicas_in_sync
        if mean != number:
            raise UserError(
                f"worker {self.worker.index}: expected the same {meaning} on "
                f"all workers, found {number} here and {mean:g} on average; "
                "the run directory has to lie on a disk that all of them share"
            )

    def _total(self, value: float) -> float:
        """Returns the sum over all replicas of all workers."""
        sums = _sum_over_replicas(
            self._strategy, tf.constant(value, tf.float64)
        )
        return float(sums)


@tf.function(autograph=False)
def _sum_over_replicas(
    strategy: tf.distribute.Strategy, value: tf.Tensor
) -> tf.Tensor:
    def replica(value: tf.Tensor) -> tf.Tensor:
        context = tf.distribute.get_replica_context()
        # The identity stands on the replica's device, the argument on none.
        return context.all_reduce("SUM", tf.identity(value))

    sums = strategy.run(replica, args=(value,))
    return strategy.experimental_local_results(sums)[0]


def _tf_config_error(found: str) -> UserError:
    return UserError(
        f"--distribution=multi_worker: expected {_TF_CONFIG} in the "
        f"environment, such as {_EXAMPLE}, found {found}"
    )
