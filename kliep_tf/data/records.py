"""The Example schema that DeepLab reads, and the shards that hold it.

Keys are those of tensorflow/models `research/deeplab` and of deeplab2; the one
addition, `image/importance_weight`, is ignored there.
"""

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import tensorflow as tf

from kliep_tf import runs
from kliep_tf.data import files, framing
from kliep_tf.data.summaries import SHARD_NAME as SHARD_NAME
from kliep_tf.data.summaries import refuse_emptied
from kliep_tf.data.summaries import shard_name as shard_name
from kliep_tf.data.summaries import split_of as split_of
from kliep_tf.errors import DataError, UserError, reason_of

ENCODED = "image/encoded"
FILENAME = "image/filename"
FORMAT = "image/format"
HEIGHT = "image/height"
WIDTH = "image/width"
CHANNELS = "image/channels"
LABEL_ENCODED = "image/segmentation/class/encoded"
LABEL_FORMAT = "image/segmentation/class/format"
IMPORTANCE_WEIGHT = "image/importance_weight"
# Not of the schema: where an example was read, for messages.
SHARD = "shard"

IMAGE_FORMATS = ("png", "jpeg")


def encode_example(
    image: bytes,
    *,
    filename: str,
    height: int,
    width: int,
    image_format: str = "png",
    label: bytes | None = None,
    label_format: str = "png",
    importance_weight: float | None = None,
) -> bytes:
    """Returns one serialized tf.train.Example.

    Args:
        image: encoded RGB image.
        filename: stem, unique in the dataset.
        height: of the image, in pixels.
        width: of the image, in pixels.
        image_format: "png" or "jpeg".
        label: encoded one-channel PNG of train ids, absent for unlabelled
            images.
        label_format: "png", or "raw" for labels that deeplab2 alone reads.
        importance_weight: absent unless weights are attached.
    """
    features = {
        ENCODED: _bytes(image),
        FILENAME: _bytes(filename.encode()),
        FORMAT: _bytes(image_format.encode()),
        HEIGHT: _int64(height),
        WIDTH: _int64(width),
        CHANNELS: _int64(3),
    }
    if label is not None:
        features[LABEL_ENCODED] = _bytes(label)
        features[LABEL_FORMAT] = _bytes(label_format.encode())
    if importance_weight is not None:
        features[IMPORTANCE_WEIGHT] = _float(importance_weight)
    example = tf.train.Example(features=tf.train.Features(feature=features))
    return _serialize(example)


def append_weight(serialized: bytes, importance_weight: float) -> bytes:
    """Returns the example with its importance weight set.

    Nothing is decoded: images and labels are carried over byte for byte.
    """
    example = tf.train.Example.FromString(serialized)
    example.features.feature[IMPORTANCE_WEIGHT].CopyFrom(
        _float(importance_weight)
    )
    return _serialize(example)


def replace_image(serialized: bytes, image: bytes, image_format: str) -> bytes:
    """Returns the example with another encoded image of the same size.

    Everything else, labels and unknown keys included, is carried over byte for
    byte.
    """
    example = tf.train.Example.FromString(serialized)
    feature = example.features.feature
    feature[ENCODED].CopyFrom(_bytes(image))
    feature[FORMAT].CopyFrom(_bytes(image_format.encode()))
    return _serialize(example)


# For the functions of a dataset. Autograph would take a second of every process
# to rewrite all that they call; they have no Python `if` or `for` over tensors,
# which alone need it.
unconverted = tf.autograph.experimental.do_not_convert


@unconverted
def parse_example(
    serialized: tf.Tensor, shard: tf.Tensor | None = None
) -> dict[str, tf.Tensor]:
    """Parses one serialized example, or a batch [N] of them, inside a graph.

    Args:
        serialized: string [] or [N].
        shard: path of the shard, returned under SHARD.

    Returns:
        A dict by the schema's keys, each of shape [] or [N]. Absent labels are
        "", an absent importance weight is NaN.
    """
    parsed = tf.io.parse_example(
        serialized,
        {
            ENCODED: tf.io.FixedLenFeature([], tf.string),
            FILENAME: tf.io.FixedLenFeature([], tf.string),
            FORMAT: tf.io.FixedLenFeature([], tf.string, "png"),
            HEIGHT: tf.io.FixedLenFeature([], tf.int64),
            WIDTH: tf.io.FixedLenFeature([], tf.int64),
            LABEL_ENCODED: tf.io.FixedLenFeature([], tf.string, ""),
            IMPORTANCE_WEIGHT: tf.io.FixedLenFeature(
                [], tf.float32, float("nan")
            ),
        },
    )
    return parsed if shard is None else {**parsed, SHARD: shard}


def shard_dataset(paths: Sequence[str]) -> tf.data.Dataset:
    """Returns (serialized example, path of its shard), in order.

    Shards may be compressed by gzip.
    """
    shards = tf.data.Dataset.from_tensor_slices(
        ([framing.unpacked(path) for path in paths], list(paths))
    )

    @unconverted
    def examples(file: tf.Tensor, path: tf.Tensor) -> tf.data.Dataset:
        return tf.data.TFRecordDataset(file).map(
            lambda serialized: (serialized, path)
        )

    return shards.flat_map(examples)


def filename_of(serialized: bytes, where: str) -> str:
    """Returns an example's image/filename.

    Args:
        serialized: the example.
        where: its shard or place, for messages.

    Raises:
        UserError: it is no example of ours, or its filename no name in UTF-8.
    """
    try:
        features = tf.train.Example.FromString(serialized).features.feature
    except Exception:  # protobuf's DecodeError has no public name
        features = {}
    for key in (ENCODED, FILENAME):
        if key not in features or not features[key].bytes_list.value:
            raise DataError(
                f"{where}: expected examples with the key {key}, found "
                f"{', '.join(sorted(features)[:5]) or 'no tf.train.Example'}"
            )
    raw = features[FILENAME].bytes_list.value[0]
    reason = filename_problem(raw)
    if reason:
        raise DataError(f"{where}: {reason}")
    return raw.decode()


def filename_problem(raw: bytes) -> str:
    """Returns why bytes are no filename, "" if they are."""
    try:
        name = raw.decode()
    except UnicodeDecodeError:
        return f"expected a filename in UTF-8, found {raw!r}"
    if not name or "\0" in name:
        return f"expected a filename, found {raw!r}"
    return ""


def resolve_records(records: str | os.PathLike, flag: str) -> list[str]:
    """Returns the sorted paths of the shards that a flag's value names.

    Args:
        records: a directory of shards or a glob such as `dir/train-*`.
        flag: the flag's name, for messages.

    Raises:
        UserError: nothing is found, a directory holds several splits, a
            shard of a numbered set is missing (a glob that names shards by
            number, such as `train-0000*`, may leave some out), or one is empty
            that was not.
    """
    records = os.fspath(records)
    if not records:
        raise UserError(f"--{flag} is empty: expected a directory or a glob")
    is_folder = files.is_folder(records)
    found = (
        files.files_in(records, "*.tfrecord*")
        if is_folder
        else files.find(records)
    )
    # A glob such as train* also matches what stands beside the shards.
    paths = [path for path in found if not path.endswith((".json", ".csv"))]
    if not paths:
        raise UserError(
            f"--{flag}={records}: expected TFRecord shards, found none"
        )
    splits = sorted({split_of(path) for path in paths})
    if is_folder and len(splits) > 1:
        raise UserError(
            f"--{flag}={records}: expected one split, found "
            f"{', '.join(splits)}; name one, as in "
            f"{os.path.join(records, splits[0] + '-*')}"
        )
    if is_folder or not re.search(r"-[\d\[?][^/]*$", records):
        _check_complete(paths, flag)
    refuse_emptied(paths)
    return paths


def write_shard(
    path: str | os.PathLike, examples: Iterable[bytes], attempt: str = ""
) -> int:
    """Writes serialized examples to one shard, atomically.

    A shard whose name ends in .gz is compressed. It appears under its name only
    when it is whole and on disk; until then it is a dot file that no reader's
    glob matches.

    Args:
        path: of the shard.
        examples: serialized, in order.
        attempt: a name for the dot file of one's own, where another process
            may be writing the same shard.

    Returns:
        The number of examples.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}{attempt}.partial")
    count = 0
    try:
        compression = "GZIP" if path.suffix == ".gz" else ""
        with tf.io.TFRecordWriter(str(temporary), compression) as writer:
            for example in examples:
                writer.write(example)
                count += 1
    except tf.errors.OpError as error:
        raise OSError(None, reason_of(error), str(path)) from error
    with open(temporary, "rb") as file:
        os.fsync(file.fileno())
    runs.replace_durably(temporary, path)
    return count


def read_shard(path: str | os.PathLike) -> Iterator[bytes]:
    """Yields the serialized examples of one shard, in order.

    Raises:
        UserError: the file is no TFRecord file, or is damaged.
    """
    for number, (data, reason) in enumerate(
        framing.read_records(framing.unpacked(path))
    ):
        if data is None:
            raise DataError(f"{path}, record {number}: {reason}")
        yield data


def _check_complete(paths: Sequence[str], flag: str) -> None:
    """Raises a UserError if a set numbered `-of-N` has fewer than N shards."""
    found = defaultdict(set)
    for path in paths:
        match = SHARD_NAME.fullmatch(os.path.basename(path))
        if match:
            name = (os.path.dirname(path), match["split"], int(match["count"]))
            found[name].add(int(match["shard"]))
    for (directory, split, count), shards in found.items():
        missing = sorted(set(range(count)) - shards)
        if missing:
            raise UserError(
                f"--{flag}: {directory or '.'} holds {len(shards)} of {count} "
                f"shards of {split}; expected "
                f"{shard_name(split, missing[0], count)} too"
            )


def _serialize(example: tf.train.Example) -> bytes:
    # Without `deterministic` the order of the features differs from process to
    # process, and no two conversions give the same bytes.
    return example.SerializeToString(deterministic=True)


def _bytes(value: bytes) -> tf.train.Feature:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def _int64(value: int) -> tf.train.Feature:
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))


def _float(value: float) -> tf.train.Feature:
    return tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
