"""Scale jitter, and what fits which crop."""

import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.data import images
from kliep_tf.data.augmentation import Augmentation, check_sizes
from kliep_tf.data.index import build_index
from kliep_tf.data.records import resolve_records
from kliep_tf.errors import UserError
from tests.conftest import SIZE


@pytest.fixture(scope="module")
def index(source_records):
    return build_index(resolve_records(source_records, "records"))


def seed(number):
    return tf.constant([7, number], tf.int64)


def sizes_drawn(scales, number=200):
    return np.array(
        [
            images.random_size((100, 200), scales, seed(n)).numpy()
            for n in range(number)
        ]
    )


def test_sizes_are_uniform_between_the_two_scales_and_keep_the_aspect():
    sizes = sizes_drawn((0.5, 1.5))
    heights, widths = sizes.T
    assert (heights >= 50).all() and (heights <= 150).all()
    # A uniform height in 50..150 has mean 100; of 200 draws with deviation 2.
    assert abs(heights.mean() - 100) < 8
    assert heights.min() < 60 and heights.max() > 140
    assert (np.abs(widths - 2 * heights) <= 1).all()


def test_a_window_of_a_larger_scale_shows_less_of_the_image():
    """A ramp of one step a pixel: at scale 2 a step takes two pixels."""
    ramp = tf.cast(tf.range(100)[None, :, None], tf.uint8)
    ramp = tf.tile(ramp, [60, 1, 3])
    augmentation = Augmentation(
        crop_size=(40, 40), min_scale=2.0, max_scale=2.0
    )
    crop, _ = augmentation(ramp, None, seed(0))
    assert crop.shape == (40, 40, 3)
    steps = np.diff(crop.numpy()[0, :, 0].astype(int))
    assert abs(steps.mean() - 0.5) < 0.06


def test_image_and_label_are_scaled_by_the_same_factor():
    label = tf.cast(tf.range(64)[None, :, None] >= 32, tf.uint8)
    label = tf.tile(label, [64, 1, 1])
    image = tf.tile(255 * label, [1, 1, 3])
    augmentation = Augmentation(
        crop_size=(24, 48), min_scale=0.8, max_scale=1.6
    )
    for number in range(20):
        crop, its_label = augmentation(image, label, seed(number))
        differs = (crop[..., :1] > 127) != (its_label == 1)
        # Bilinear and nearest may disagree by a pixel at the edge.
        assert differs.numpy().any(0).sum() <= 1


def test_jitter_leaves_crop_and_flip_of_the_same_seed_alone():
    image = tf.random.uniform([32, 48, 3], maxval=256, dtype=tf.int32, seed=1)
    image = tf.cast(image, tf.uint8)
    without = Augmentation(image_size=(32, 48), crop_size=(16, 16), flip=True)
    # So little that every size rounds to the same one.
    with_jitter = Augmentation(
        image_size=(32, 48),
        crop_size=(16, 16),
        flip=True,
        min_scale=1.0,
        max_scale=1.0001,
    )
    for number in range(5):
        one, _ = without(image, None, seed(number))
        other, _ = with_jitter(image, None, seed(number))
        np.testing.assert_array_equal(one, other)


def test_crop_larger_than_the_image_is_refused(index):
    augmentation = Augmentation(crop_size=(64, 24))
    with pytest.raises(UserError, match=r"crop_height=64.*32x48"):
        check_sizes(index, augmentation, "source_records")


def test_crop_larger_than_the_least_scale_is_refused(index):
    fits = Augmentation(
        image_size=SIZE, crop_size=(16, 24), min_scale=0.5, max_scale=1.2
    )
    check_sizes(index, fits, "source_records")
    too_small = Augmentation(
        image_size=SIZE, crop_size=(16, 24), min_scale=0.4, max_scale=1.2
    )
    with pytest.raises(UserError, match=r"source_records at --min_scale=0\.4"):
        check_sizes(index, too_small, "source_records")


@pytest.mark.parametrize("scales", [(0.0, 1.0), (1.2, 1.0), (-1.0, 1.0)])
def test_unusable_scales_are_refused(index, scales):
    low, high = scales
    augmentation = Augmentation(
        crop_size=(16, 24), min_scale=low, max_scale=high
    )
    with pytest.raises(UserError, match="0 < min_scale <= max_scale"):
        check_sizes(index, augmentation, "source_records")


def test_jitter_without_a_crop_is_refused(index):
    augmentation = Augmentation(image_size=SIZE, max_scale=1.2)
    with pytest.raises(UserError, match="--crop_height and --crop_width too"):
        check_sizes(index, augmentation, "source_records")


def test_label_of_another_size_is_not_cropped_elsewhere():
    """Offsets that suit the image would show another part of the label."""
    image = tf.zeros([8, 8, 3], tf.uint8)
    label = tf.zeros([16, 16, 1], tf.uint8)
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="a label of its image's size"
    ):
        Augmentation(crop_size=(4, 4))(image, label, seed(0))
    # Brought to one size first, they show the same.
    _, cropped = Augmentation(image_size=(8, 8), crop_size=(4, 4))(
        image, label, seed(0)
    )
    assert cropped.shape == (4, 4, 1)


def striped(height, width):
    """Upper half class 1, lower half class 2; red is 100 times the class."""
    label = np.full((height, width, 1), 1, np.uint8)
    label[height // 2 :] = 2
    image = np.zeros((height, width, 3), np.uint8)
    image[..., :1] = 100 * label
    return image, label


def test_scales_that_are_smaller_than_the_crop_are_padded():
    augmentation = Augmentation(
        crop_size=(40, 72), flip=True, min_scale=0.5, max_scale=2.0, pads=True
    )
    seen = set()
    for number in range(8):
        image, label = augmentation(*striped(32, 64), seed(number))
        assert image.shape == (40, 72, 3) and label.shape == (40, 72, 1)
        known = label.numpy()[..., 0] != 255
        # Padding is grey and ignored, all of it.
        assert (image.numpy()[~known] == 127).all()
        wrong = np.abs(image[..., 0] - 100.0 * label.numpy()[..., 0]) > 50
        # Only the row where the halves meet is a mixture.
        assert (wrong & known).any(axis=1).sum() <= 1
        seen.add(int(known.sum()))
    assert len(seen) > 3  # as many scales, but for those that fill the crop


@pytest.mark.parametrize("scale", [0.5, 1.5])
def test_a_padded_image_is_scaled_by_the_factor(scale):
    """One scale, a crop of more than the whole: the known pixels are all."""
    augmentation = Augmentation(
        (32, 64), (100, 100), min_scale=scale, max_scale=scale, pads=True
    )
    _, label = augmentation(*striped(16, 16), seed(0))
    known = label.numpy()[..., 0] != 255
    height, width = round(32 * scale), round(64 * scale)
    assert known[:height, :width].all() and known.sum() == height * width


def test_padding_has_the_ignore_label():
    augmentation = Augmentation(
        crop_size=(4, 3), max_scale=1.001, pads=True, ignore_label=200
    )
    _, label = augmentation(*striped(2, 3), seed(0))
    assert label.numpy()[:, 0, 0].tolist() == [1, 2, 200, 200]


def test_without_chance_size_and_colors_are_known():
    augmentation = Augmentation(
        crop_size=(40, 40),
        flip=True,
        color_jitter=1.0,
        min_scale=0.5,
        max_scale=2.0,
        pads=True,
    ).without_chance()
    for size in ((32, 64), (60, 50)):
        image, label = augmentation(*striped(*size), seed(1))
        # Scale 1: what the crop has more than the image is all that is padded.
        known = label.numpy()[..., 0] != 255
        assert known.sum() == min(40, size[0]) * min(40, size[1])
        assert set(np.unique(image.numpy()[known][:, 0])) <= {100, 200}


def test_a_crop_that_the_largest_scale_fills_is_allowed_where_it_pads(index):
    fits = Augmentation(
        crop_size=(48, 72), min_scale=0.5, max_scale=1.5, pads=True
    )
    check_sizes(index, fits, "train_records")
    too_large = Augmentation(
        crop_size=(49, 72), min_scale=0.5, max_scale=1.5, pads=True
    )
    with pytest.raises(UserError, match=r"train_records at --max_scale=1\.5"):
        check_sizes(index, too_large, "train_records")
