"""Framing of TFRecord files, against TensorFlow's own writer and reader."""

import gzip

import pytest
import tensorflow as tf

from kliep_tf.data import framing, records
from kliep_tf.data.index import build_index
from kliep_tf.errors import UserError
from tests.conftest import write_records

DATA = [b"first", b"", b"the third one"]
# Each record is framed by 12 bytes before and 4 behind.
THIRD = 12 + 5 + 4 + 12 + 0 + 4


@pytest.fixture
def shard(tmp_path):
    path = tmp_path / "train-00000-of-00001.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for data in DATA:
            writer.write(data)
    return path


def flip(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def test_records_are_where_tensorflow_wrote_them(shard):
    spans = framing.read_spans(shard)
    assert spans == [(12, 5), (33, 0), (49, 13)]
    assert [framing.read_record(shard, *span) for span in spans] == DATA
    assert [data for data, _ in framing.read_records(shard)] == DATA


def test_checksum_is_the_published_one():
    """RFC 3720, B.4: the CRC-32C of 32 zeros is 0x8a9136aa; then the mask."""
    crc = 0x8A9136AA
    masked = ((crc >> 15 | crc << 17 & 0xFFFFFFFF) + 0xA282EAD8) % 2**32
    assert framing.masked_crc32c(bytes(32)) == masked


@pytest.mark.parametrize("position", [THIRD + 12, THIRD + 12 + 13])
def test_flipped_data_or_checksum_is_found_at_the_read(shard, position):
    flip(shard, position)
    spans = framing.read_spans(shard)
    assert framing.read_record(shard, *spans[0]) == b"first"
    with pytest.raises(UserError, match=r"train-0.*damaged one at byte 49"):
        framing.read_record(shard, *spans[2])
    found = list(framing.read_records(shard))
    assert [data for data, _ in found] == [b"first", b"", None]


def test_reading_goes_on_behind_a_damaged_record(shard):
    flip(shard, 12)
    found = [data for data, _ in framing.read_records(shard)]
    assert found == [None, b"", b"the third one"]


@pytest.mark.parametrize("kept", [THIRD + 7, THIRD + 12 + 3])
def test_file_cut_inside_a_header_or_data_is_found(shard, kept):
    shard.write_bytes(shard.read_bytes()[:kept])
    with pytest.raises(UserError, match="cut short after 2 records"):
        framing.read_spans(shard)
    assert [data for data, _ in framing.read_records(shard)][-1] is None


def test_flipped_length_is_found_without_reading_data(shard):
    flip(shard, THIRD)
    with pytest.raises(UserError, match="after 2 records"):
        framing.read_spans(shard)


def test_shards_compressed_by_gzip_are_read(tmp_path):
    write_records(tmp_path, number=3, sky=0.5, bright=True, num_shards=1)
    (path,) = records.resolve_records(tmp_path, "records")
    plain = list(records.read_shard(path))
    names = build_index([path]).filenames.tolist()
    with open(path, "rb") as file:
        packed = gzip.compress(file.read())
    with open(path, "wb") as file:
        file.write(packed)
    assert list(records.read_shard(path)) == plain
    found = records.shard_dataset([path]).as_numpy_iterator()
    assert list(found) == [(data, path.encode()) for data in plain]
    index = build_index([path])
    assert index.filenames.tolist() == names
    assert [index.read(row) for row in (2, 0)] == [plain[2], plain[0]]


def test_shards_named_gz_are_of_their_split_and_written_compressed(tmp_path):
    examples = [
        records.encode_example(b"x", filename=name, height=1, width=1)
        for name in "ab"
    ]
    for shard in range(2):
        name = records.shard_name("train", shard, 2) + ".gz"
        records.write_shard(tmp_path / name, [examples[shard]])
        assert (tmp_path / name).read_bytes()[:2] == b"\x1f\x8b"
    paths = records.resolve_records(tmp_path, "records")
    assert {records.split_of(path) for path in paths} == {"train"}
    assert [next(records.read_shard(path)) for path in paths] == examples


def test_damaged_gzip_is_one_line(shard):
    packed = gzip.compress(shard.read_bytes())
    shard.write_bytes(packed[:-12])
    with pytest.raises(UserError, match="compressed by gzip, found damage"):
        list(records.read_shard(shard))


def test_a_length_that_begins_as_gzip_does_is_no_gzip(tmp_path):
    path = tmp_path / "train-00000-of-00001.tfrecord"
    # 0x8b1f bytes: the file begins with 1f 8b.
    data = b"x" * 35_615
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(data)
    assert path.read_bytes()[:2] == b"\x1f\x8b"
    assert framing.unpacked(path) == str(path)
    assert list(records.read_shard(path)) == [data]
