"""The names of shards: `train-00000-of-00064.tfrecord`.

Apart from `records`, which imports TensorFlow: a converter plans its shards
while it starts.
"""

import os
import re
from pathlib import Path

SHARD_NAME = re.compile(
    r"(?P<split>.+)-(?P<shard>\d{5})-of-(?P<count>\d{5})\.tfrecord"
)


def shard_name(split: str, shard: int, num_shards: int) -> str:
    """Returns a shard's file name, such as train-00000-of-00064.tfrecord."""
    return f"{split}-{shard:05d}-of-{num_shards:05d}.tfrecord"


def split_of(path: str | os.PathLike) -> str:
    """Returns the split that a shard's file name begins with."""
    match = SHARD_NAME.fullmatch(os.path.basename(path))
    return match["split"] if match else Path(path).stem
