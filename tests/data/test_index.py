import pytest
import tensorflow as tf

from kliep_tf.data import records
from kliep_tf.data.index import build_index, image_sizes
from kliep_tf.errors import UserError
from tests.conftest import SIZE, write_records


def test_index_reads_every_example_in_any_order(source_records):
    paths = records.resolve_records(source_records, "records")
    index = build_index(paths)
    in_order = [data for path in paths for data in records.read_shard(path)]
    assert len(index) == 24
    for row in (23, 0, 12):
        assert index.read(row) == in_order[row]
        parsed = records.parse_example(index.read(row))
        assert parsed[records.FILENAME] == index.filenames[row].encode()


def test_index_is_the_same_without_dataset_json(tmp_path):
    write_records(tmp_path, number=5, sky=0.5, bright=True)
    paths = records.resolve_records(tmp_path, "records")
    known = build_index(paths)
    (tmp_path / "dataset.json").unlink()
    read = build_index(paths)
    assert read.filenames.tolist() == known.filenames.tolist()
    assert image_sizes(read) == image_sizes(known) == {SIZE}


def one_shard(directory, content: bytes) -> list[str]:
    path = directory / "train-00000-of-00001.tfrecord"
    path.write_bytes(content)
    return [str(path)]


def test_text_file_is_no_record_file(tmp_path):
    with pytest.raises(UserError, match=r"train-00000.*TFRecord"):
        build_index(one_shard(tmp_path, b"this is no TFRecord file at all"))


def test_shard_cut_short_is_refused(tmp_path):
    write_records(tmp_path, number=4, sky=0.5, bright=True, num_shards=1)
    path = tmp_path / "train-00000-of-00001.tfrecord"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(UserError, match="cut short after 3 records"):
        build_index([str(path)])


def test_empty_shards_hold_no_examples(tmp_path):
    with pytest.raises(UserError, match="expected examples"):
        build_index(one_shard(tmp_path, b""))


def test_records_of_another_kind_are_refused(tmp_path):
    other = tf.train.Example()
    other.features.feature["audio"].int64_list.value.append(1)
    path = tmp_path / "train-00000-of-00001.tfrecord"
    records.write_shard(path, [other.SerializeToString()])
    with pytest.raises(UserError, match="image/encoded, found audio"):
        build_index([str(path)])


def test_filename_that_occurs_twice_is_named(tmp_path):
    example = records.encode_example(b"x", filename="twin", height=1, width=1)
    path = tmp_path / "train-00000-of-00001.tfrecord"
    records.write_shard(path, [example, example])
    with pytest.raises(UserError, match="'twin' 2 times"):
        build_index([str(path)])


def test_names_of_shards_that_were_replaced_are_read_anew(tmp_path):
    """An old dataset.json with as many names would give away their weights."""
    write_records(tmp_path, number=4, sky=0.5, bright=True, num_shards=1)
    path = tmp_path / records.shard_name("train", 0, 1)
    examples = list(records.read_shard(path))
    records.write_shard(path, reversed(examples))
    index = build_index([str(path)])
    assert index.filenames.tolist() == ["00003", "00002", "00001", "00000"]


@pytest.mark.parametrize("name", [b"caf\xe9", b"", b"a\0b"])
def test_filename_that_is_no_name_is_refused(tmp_path, name):
    example = tf.train.Example.FromString(
        records.encode_example(b"x", filename="a", height=1, width=1)
    )
    example.features.feature[records.FILENAME].bytes_list.value[0] = name
    path = tmp_path / records.shard_name("train", 0, 1)
    records.write_shard(path, [example.SerializeToString()])
    with pytest.raises(UserError, match=r"train-00000.*expected a filename"):
        build_index([str(path)])


def test_missing_size_names_the_example(tmp_path):
    example = tf.train.Example.FromString(
        records.encode_example(b"x", filename="odd", height=1, width=1)
    )
    del example.features.feature[records.WIDTH]
    path = tmp_path / records.shard_name("train", 0, 1)
    records.write_shard(path, [example.SerializeToString()])
    index = build_index([str(path)])
    with pytest.raises(UserError, match="image/width, found none in 'odd'"):
        image_sizes(index)


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        '{"splits": 3}',
        '{"splits": {"train": 3}}',
        '{"splits": {"train": {"shards": {}}}}',
        '{"splits": {"train": ["dataset"]}}',
    ],
)
def test_dataset_json_of_another_kind_is_refused(tmp_path, text):
    write_records(tmp_path, number=1, sky=0.5, bright=True, num_shards=1)
    (tmp_path / "dataset.json").write_text(text)
    paths = records.resolve_records(tmp_path, "records")
    with pytest.raises(UserError, match=r"dataset\.json: expected a summary"):
        build_index(paths)
