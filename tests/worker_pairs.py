"""Two workers on this machine, in processes of their own."""

import json
import socket
from collections.abc import Sequence

from tests import processes

# Seconds; against a hang, with room for a machine that does other things too.
PATIENCE = 1200


def start_workers(words: Sequence[str]) -> list[processes.Process]:
    """Starts `python words...` twice, each with its TF_CONFIG."""
    addresses = [f"localhost:{port}" for port in _free_ports(2)]
    return [
        processes.start(
            words,
            CUDA_VISIBLE_DEVICES="-1",
            TF_CONFIG=json.dumps(
                {
                    "cluster": {"worker": addresses},
                    "task": {"type": "worker", "index": index},
                }
            ),
        )
        for index in range(2)
    ]


def end(workers: Sequence[processes.Process]) -> None:
    """Waits for all of them, which are to succeed."""
    for worker in workers:
        _, stderr = worker.communicate(timeout=PATIENCE)
        assert worker.returncode == 0, stderr


def _free_ports(number: int) -> list[int]:
    """Returns ports that nothing listens on now."""
    sockets = [socket.socket() for _ in range(number)]
    for one in sockets:
        one.bind(("localhost", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
