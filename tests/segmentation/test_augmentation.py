import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.data.index import build_index
from kliep_tf.data.pipeline import Augmentation
from kliep_tf.data.records import resolve_records
from kliep_tf.errors import UserError
from kliep_tf.segmentation.augmentation import SegmentationAugmentation


def _striped(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Upper half class 1, lower half class 2; red is 100 times the class."""
    label = np.full((height, width, 1), 1, np.uint8)
    label[height // 2 :] = 2
    image = np.zeros((height, width, 3), np.uint8)
    image[..., :1] = 100 * label
    return image, label


def _augment(augmentation, image, label, seed: int):
    found = augmentation(image, label, tf.constant([seed, 0], tf.int64))
    return [tensor.numpy() for tensor in found]


def test_image_and_label_are_scaled_cropped_and_flipped_together():
    augmentation = SegmentationAugmentation(
        Augmentation(crop_size=(40, 72), flip=True), 0.5, 2.0
    )
    image, label = _striped(32, 64)
    seen = set()
    for seed in range(8):
        pixels, classes = _augment(augmentation, image, label, seed)
        assert pixels.shape == (40, 72, 3) and classes.shape == (40, 72, 1)
        known = classes[..., 0] != 255
        # Padding is grey and ignored, all of it.
        assert (pixels[~known] == 127).all()
        wrong = np.abs(pixels[..., 0] - 100.0 * classes[..., 0]) > 50
        # Only the row where the halves meet is a mixture.
        assert (wrong & known).any(axis=1).sum() <= 1
        seen.add(int(known.sum()))
    assert len(seen) > 3  # as many scales, but for those that fill the crop


@pytest.mark.parametrize("scale", [0.5, 1.5])
def test_scale_is_a_factor_of_the_size(scale):
    # A single scale, and a crop of more than the whole: the known pixels are
    # the scaled image.
    augmentation = SegmentationAugmentation(
        Augmentation(crop_size=(100, 100)), scale, scale
    )
    _, label = _augment(augmentation, *_striped(32, 64), seed=0)
    known = label[..., 0] != 255
    height, width = round(32 * scale), round(64 * scale)
    assert known[:height, :width].all() and known.sum() == height * width


def test_scale_multiplies_the_size_that_is_asked_for():
    augmentation = SegmentationAugmentation(
        Augmentation(image_size=(16, 16), crop_size=(40, 40)), 2.0, 2.0
    )
    _, label = _augment(augmentation, *_striped(32, 64), seed=0)
    assert (label != 255).sum() == 32 * 32


def test_same_seed_same_result():
    augmentation = SegmentationAugmentation(
        Augmentation(crop_size=(16, 16), flip=True, color_jitter=1.0), 0.5, 2.0
    )
    example = _striped(32, 64)
    first, again = (_augment(augmentation, *example, seed=5) for _ in range(2))
    other = _augment(augmentation, *example, seed=6)
    np.testing.assert_array_equal(first[0], again[0])
    assert (first[0] != other[0]).any()


def test_pictures_have_one_size_whatever_is_scaled():
    augmentation = SegmentationAugmentation(
        Augmentation(crop_size=(40, 40), flip=True, color_jitter=1.0), 0.5, 2.0
    ).without_chance()
    for size in ((32, 64), (60, 50)):
        image, label = _augment(augmentation, *_striped(*size), seed=1)
        assert image.shape == (40, 40, 3)
        # Scale 1: what the crop has more than the image is all that is padded.
        known = label[..., 0] != 255
        assert known.sum() == min(40, size[0]) * min(40, size[1])
        # True colours.
        assert set(np.unique(image[known][:, 0])) <= {100, 200}


@pytest.mark.parametrize("image_size", [None, (24, 20)])
def test_without_scales_it_is_the_plain_augmentation(image_size):
    base = Augmentation(image_size, (16, 16), flip=True, color_jitter=1.0)
    example = _striped(32, 64)
    seed = tf.constant([3, 4], tf.int64)
    for found, expected in zip(
        SegmentationAugmentation(base)(*example, seed),
        base(*map(tf.constant, example), seed),
        strict=True,
    ):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("crop", "scales", "message"),
    [
        (None, (0.5, 2.0), "expected --crop_height and --crop_width too"),
        ((16, 16), (2.0, 0.5), "expected 0 < min_scale <= max_scale"),
        ((16, 16), (0.0, 0.5), "expected 0 < min_scale <= max_scale"),
        ((48, 16), (0.5, 1.4), "at --max_scale=1.4, found images of 32x64"),
    ],
)
def test_sizes_that_do_not_fit_are_named(crop, scales, message, street_records):
    index = build_index(resolve_records(street_records, "train_records"))
    augmentation = SegmentationAugmentation(
        Augmentation(crop_size=crop), *scales
    )
    with pytest.raises(UserError, match=message):
        augmentation.check(index, "train_records")


def test_crop_that_the_largest_scale_fills_is_allowed(street_records):
    index = build_index(resolve_records(street_records, "train_records"))
    SegmentationAugmentation(Augmentation(crop_size=(48, 48)), 0.5, 1.5).check(
        index, "train_records"
    )
