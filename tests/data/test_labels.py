"""What is no label of its image is refused, wherever labels are read."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kliep_tf.data import images, pipeline, records
from kliep_tf.data.augmentation import Augmentation
from kliep_tf.data.examples import read_example
from kliep_tf.data.index import build_index
from kliep_tf.data.png import encode_png
from kliep_tf.data.reading import (
    is_own,
    labelled_examples,
    make_example_dataset,
    read_all,
    reason_of,
)
from kliep_tf.errors import UserError

GOOD = np.array([[0, 18, 255], [1, 2, 3]], np.uint8)


def saved(image):
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


WRONG = [
    (encode_png(np.full((2, 3), 33, np.uint8)), "found 33"),
    (encode_png(np.zeros((4, 6), np.uint8)), "image's size, 2x3, found 4x6"),
    (encode_png(np.zeros((2, 3, 3), np.uint8)), "found 8 bits, RGB"),
    (saved(Image.fromarray(GOOD).convert("P")), "found 8 bits, palette"),
    (tf.io.encode_png(np.zeros((2, 3, 1), np.uint16)).numpy(), "16 bits, gray"),
    (saved(Image.fromarray(GOOD > 1)), "found 1 bits, gray"),
    (b"raw ids", "found 7 bytes that are no PNG"),
]


def write(directory, *labels):
    """Writes an example for each label; returns the paths of the shard."""
    examples = [
        records.encode_example(
            encode_png(np.zeros((2, 3, 3), np.uint8)),
            filename=f"frame_{number}",
            height=2,
            width=3,
            label=label,
        )
        for number, label in enumerate(labels)
    ]
    path = directory / records.shard_name("train", 0, 1)
    records.write_shard(path, examples)
    return [str(path)]


@pytest.mark.parametrize(("label", "reason"), WRONG)
def test_wrong_label_is_named_where_records_are_read_in_order(
    tmp_path, label, reason
):
    paths = write(tmp_path, encode_png(GOOD), label)
    examples = read_all(pipeline.make_image_dataset(paths), "records")
    np.testing.assert_array_equal(next(examples).label[..., 0], GOOD)
    with pytest.raises(UserError) as error:
        next(examples)
    message = str(error.value)
    assert message.startswith(f"--records: {paths[0]}, 'frame_1': expected")
    assert reason in message
    assert "\n" not in message


@pytest.mark.parametrize(("label", "reason"), WRONG[:3])
def test_wrong_label_is_named_in_training(tmp_path, label, reason):
    (path,) = write(tmp_path, label)
    dataset = pipeline.make_labelled_dataset(
        build_index([path]), Augmentation(), batch_size=1, seed=0
    )
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        next(iter(dataset))
    assert is_own(error.value)
    message = reason_of(error.value)
    assert message.startswith(f"{path}, 'frame_0': expected")
    assert reason in message


@pytest.mark.parametrize(("label", "reason"), WRONG[2:])
def test_label_of_another_encoding_is_never_decoded(label, reason):
    with pytest.raises(tf.errors.InvalidArgumentError, match="one 8-bit"):
        images.decode_label(label)


@pytest.mark.parametrize(("label", "reason"), WRONG)
def test_wrong_label_is_named_where_a_few_examples_are_read(
    tmp_path, label, reason
):
    (path,) = write(tmp_path, encode_png(GOOD), label, None)
    index = build_index([path])
    np.testing.assert_array_equal(read_example(index, 0).label, GOOD)
    assert read_example(index, 2).label is None
    with pytest.raises(UserError) as error:
        read_example(index, 1)
    assert str(error.value).startswith(f"{path}, 'frame_1': expected")
    assert reason in str(error.value)


def test_wrong_label_is_named_where_labelled_examples_are_looked_for(tmp_path):
    paths = write(tmp_path, encode_png(GOOD), WRONG[0][0])
    with pytest.raises(UserError, match=r"'frame_1': .*, found 33$"):
        labelled_examples(paths)


def test_damaged_image_is_looked_for_and_named(tmp_path):
    paths = write(tmp_path, None, None)
    examples = list(records.read_shard(paths[0]))
    examples.append(records.replace_image(examples[1], b"no image", "png"))
    records.write_shard(paths[0], examples)
    found = read_all(pipeline.make_image_dataset(paths), "records", paths)
    assert [next(found).filename, next(found).filename] == [
        b"frame_0",
        b"frame_1",
    ]
    with pytest.raises(UserError, match=r"record 2: .* one in 'frame_1'"):
        next(found)


def test_damage_in_a_record_names_shard_and_byte(tmp_path):
    (path,) = write(tmp_path, encode_png(GOOD))
    index = build_index([path])
    with open(path, "r+b") as file:
        file.seek(index.offsets[0] + 40)
        file.write(b"\xff")
    dataset = pipeline.make_labelled_dataset(
        index, Augmentation(), batch_size=1, seed=0
    )
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        next(iter(dataset))
    message = reason_of(error.value)
    assert message.startswith(f"{path}, record 0: expected whole records")


def test_examples_say_where_they_were_read(tmp_path):
    paths = write(tmp_path, None)
    example = next(make_example_dataset(paths).as_numpy_iterator())
    assert example[records.SHARD] == paths[0].encode()
