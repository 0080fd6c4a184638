import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.data import images, pipeline, records, summaries
from kliep_tf.data.augmentation import Augmentation
from kliep_tf.data.index import build_index
from kliep_tf.data.png import encode_png
from kliep_tf.data.records import resolve_records
from tests.conftest import SIZE, write_records


@pytest.fixture(scope="module")
def domains(source_records, target_records):
    return tuple(
        build_index(resolve_records(directory, "records"))
        for directory in (source_records, target_records)
    )


def unpaired(domains, augmentation=None, **options):
    source, target = domains
    arguments = {
        # Each example's weight is its row, so that a batch tells what it holds.
        "source_weights": np.arange(len(source)),
        "target_weights": np.arange(len(target)),
        "batch_size": 4,
        "seed": 3,
        **options,
    }
    augmentation = augmentation or Augmentation(image_size=SIZE)
    return pipeline.make_unpaired_dataset(
        source, target, augmentation, **arguments
    )


def rows_seen(dataset, steps):
    batches = list(dataset.take(steps).as_numpy_iterator())
    return (
        np.concatenate([batch.source_weight for batch in batches]).tolist(),
        np.concatenate([batch.target_weight for batch in batches]).tolist(),
    )


def test_every_image_is_seen_once_an_epoch(domains):
    source_rows, _ = rows_seen(unpaired(domains), 6)  # 24 / 4
    _, target_rows = rows_seen(unpaired(domains), 5)  # 20 / 4
    assert sorted(source_rows) == list(range(24))
    assert sorted(target_rows) == list(range(20))


def test_epochs_have_different_orders(domains):
    rows, _ = rows_seen(unpaired(domains), 12)
    assert rows[:24] != rows[24:]
    assert sorted(rows[24:]) == list(range(24))


def test_same_seed_same_batches_another_seed_others(domains):
    assert rows_seen(unpaired(domains), 6) == rows_seen(unpaired(domains), 6)
    other = rows_seen(unpaired(domains, seed=4), 6)
    assert other != rows_seen(unpaired(domains), 6)


def test_continued_run_gets_the_very_batches_it_would_have_got(domains):
    augmentation = Augmentation(SIZE, crop_size=(16, 24), flip=True)
    whole = list(unpaired(domains, augmentation).take(10))[7:]
    continued = unpaired(domains, augmentation, start_step=7).take(3)
    for expected, found in zip(whole, continued, strict=True):
        for one, other in zip(expected, found, strict=True):
            np.testing.assert_array_equal(one, other)


def test_domains_are_shuffled_independently(source_records):
    """The same records on both sides come in two different orders."""
    index = build_index(resolve_records(source_records, "records"))
    source_rows, target_rows = rows_seen(unpaired((index, index)), 6)
    assert sorted(source_rows) == sorted(target_rows) == list(range(24))
    assert source_rows != target_rows


def test_number_of_parallel_calls_changes_no_batch(domains):
    augmentation = Augmentation(
        SIZE, crop_size=(16, 24), flip=True, min_scale=0.8, max_scale=1.2
    )
    one, many = (
        unpaired(domains, augmentation, num_parallel_calls=number).take(8)
        for number in (1, 16)
    )
    for expected, found in zip(one, many, strict=True):
        for tensor, other in zip(expected, found, strict=True):
            np.testing.assert_array_equal(tensor, other)


def test_images_without_labels_are_batched(tmp_path, domains):
    write_records(tmp_path, number=4, sky=0.5, bright=True, labelled=False)
    unlabelled = build_index(resolve_records(tmp_path, "records"))
    batch = next(iter(unpaired((unlabelled, domains[1]))))
    assert batch.source.shape == (4, *SIZE, 3)


def test_weight_travels_with_its_image(domains):
    # A dataset of known brightness: image k is gray of value k.
    batch = next(iter(unpaired(domains)))
    source, _ = domains
    for image, row in zip(batch.source, batch.source_weight, strict=True):
        encoded = pipeline.records.parse_example(source.read(int(row)))
        expected = images.decode_image(encoded["image/encoded"])
        np.testing.assert_array_equal(images.to_uint8(image), expected)


def test_image_and_label_are_cropped_and_flipped_together(domains):
    source, _ = domains
    augmentation = Augmentation(crop_size=(16, 24), flip=True)
    dataset = pipeline.make_labelled_dataset(
        source, augmentation, batch_size=8, seed=0
    )
    image, label = next(iter(dataset))
    assert image.shape == (8, 16, 24, 3)
    assert label.shape == (8, 16, 24, 1)
    # In the bright scenes sky (10) has blue 250, the road 100.
    is_blue = images.to_uint8(image)[..., 2:].numpy() > 175
    np.testing.assert_array_equal(is_blue, label.numpy() == 10)


def test_ordered_dataset_is_the_order_of_the_records(source_records):
    paths = resolve_records(source_records, "records")
    names = [
        example.filename.decode()
        for example in pipeline.make_image_dataset(paths).as_numpy_iterator()
    ]
    assert names == build_index(paths).filenames.tolist()


def test_unlabelled_example_has_a_label_of_255(tmp_path):
    write_records(tmp_path, number=1, sky=0.5, bright=True, labelled=False)
    paths = resolve_records(tmp_path, "records")
    example = next(iter(pipeline.make_image_dataset(paths)))
    assert example.label.shape == (*SIZE, 1)
    assert np.unique(example.label).tolist() == [255]


def test_floats_and_pixels_are_inverse():
    pixels = tf.reshape(tf.range(256), [16, 16, 1])
    pixels = tf.cast(pixels, tf.uint8)
    values = images.to_float(pixels)
    assert (values.numpy().min(), values.numpy().max()) == (-1.0, 1.0)
    np.testing.assert_array_equal(images.to_uint8(values), pixels)


def test_floats_beyond_the_range_saturate():
    found = images.to_uint8(tf.constant([-1.5, -1.0, 0.0, 1.0, 1.5]))
    assert found.numpy().tolist() == [0, 0, 128, 255, 255]


def test_color_jitter_of_strength_0_changes_nothing():
    image = tf.cast(tf.reshape(tf.range(48), [4, 4, 3]), tf.uint8)
    found = images.random_colors(image, 0.0, tf.constant([1, 2]))
    np.testing.assert_array_equal(found, image)


def test_labels_of_the_source_move_with_their_images(domains):
    augmentation = Augmentation(
        image_size=SIZE, crop_size=(24, 24), flip=True, max_scale=1.5
    )
    labelled = unpaired(domains, augmentation, with_source_labels=True)
    plain = unpaired(domains, augmentation)
    pairs = zip(labelled.take(3), plain.take(3), strict=True)
    for batch, expected in pairs:
        for found, other in zip(batch[:4], expected, strict=True):
            np.testing.assert_array_equal(found, other)
        assert batch.source_label.shape == (4, 24, 24, 1)
        # In the rendered scenes the sky's blue is 250, the road's 100.
        is_blue = batch.source[..., 2:] > 175 / 127.5 - 1
        wrong = (batch.source_label == 10) != is_blue
        # But for the rows along the horizon, which scaling blends.
        assert np.mean(wrong) < 0.05


def test_weights_do_not_go_to_other_images_of_a_replaced_shard(tmp_path):
    image = encode_png(np.zeros((8, 16, 3), np.uint8))

    def write(names):
        records.write_shard(
            path,
            [
                records.encode_example(image, filename=name, height=8, width=16)
                for name in names
            ],
        )

    path = tmp_path / "train-00000-of-00001.tfrecord"
    write("abcd")
    summary = summaries.SplitSummary(
        "x", "train", {path.name: list("abcd")}, {"8x16": 4}, 0, {}
    )
    summaries.write_summary(tmp_path, summary)
    # Both ends are as dataset.json has them.
    write("acbd")
    index = build_index([str(path)])
    augmentation = Augmentation(image_size=(8, 16))
    batches = unpaired((index, index), augmentation, batch_size=1)
    with pytest.raises(
        tf.errors.OpError, match=r"DataError: .*'[bc]' among them, found '[bc]'"
    ):
        list(batches.take(4))
