"""One shard copied, each example with its importance weight."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from kliep_tf.data import records, weights


def copy_with_weights(
    shard: str,
    output_dir: Path,
    importance: weights.ImportanceWeights,
    attempt: str = "",
) -> None:
    """Copies one shard to another directory; `attempt` as in `write_shard`.

    Raises:
        UserError: an example has no weight, or is damaged.
    """
    records.write_shard(
        output_dir / os.path.basename(shard),
        _with_weights(shard, importance),
        attempt,
    )


def copy_apart(
    shard: str, output_dir: Path, importance: weights.ImportanceWeights
) -> None:
    """Copies one shard, which others may be copying too."""
    attempt = f".{uuid.uuid4().hex}"
    copy_with_weights(shard, output_dir, importance, attempt)


def _with_weights(
    shard: str, importance: weights.ImportanceWeights
) -> Iterator[bytes]:
    for position, example in enumerate(records.read_shard(shard)):
        filename = records.filename_of(example, f"{shard}, record {position}")
        (weight,) = importance.lookup([filename])
        yield records.append_weight(example, float(weight))
