"""Crops of an eighth of the area, matched by their layout."""

import numpy as np

from kliep_tf.data.class_sets import CITYSCAPES_CLASSES
from kliep_tf.realism import crops

IGNORE = CITYSCAPES_CLASSES.ignore_label


def test_crop_is_a_square_of_an_eighth_of_the_area_anywhere_inside():
    rng = np.random.default_rng(0)
    boxes = [crops.crop_box((64, 128), rng) for _ in range(300)]
    sides = {
        (rows.stop - rows.start, columns.stop - columns.start)
        for rows, columns in boxes
    }
    assert sides == {(32, 32)}  # 32 * 32 = 64 * 128 / 8
    assert min(rows.start for rows, _ in boxes) == 0
    assert max(rows.stop for rows, _ in boxes) == 64
    assert max(columns.stop for _, columns in boxes) > 120


def test_long_image_is_cropped_within_its_height():
    rows, columns = crops.crop_box((8, 800), np.random.default_rng(0))
    assert (rows, columns.stop - columns.start) == (slice(0, 8), 8)


def test_label_of_16x16_blocks_is_reduced_to_one_pixel_each():
    cells = np.arange(256).astype(np.uint8).reshape(16, 16)
    label = cells.repeat(4, axis=0).repeat(6, axis=1)
    np.testing.assert_array_equal(crops.reduce_label(label), cells.reshape(-1))


def test_pairs_share_most_cells_and_more_than_half():
    def layout(sky_rows):
        label = np.zeros((16, 16), np.uint8)
        label[:sky_rows] = 10
        return label.reshape(-1)

    first = np.stack([layout(4), layout(15), np.full(256, 7, np.uint8)])
    second = np.stack([layout(0), layout(5), layout(7)])
    pairs = crops.match(first, second, IGNORE)
    # 4 rows of sky: 15/16 of the cells of the one with 5 agree. 15 rows: those
    # with 7 agree in exactly half, 7 + 1 of 16 rows, which is not enough.
    assert pairs.first.tolist() == [0]
    assert pairs.second.tolist() == [1]


def test_ignored_cells_are_never_alike():
    unlabelled = np.full((2, 256), IGNORE, np.uint8)
    assert len(crops.match(unlabelled, unlabelled, IGNORE)) == 0
    assert len(crops.match(unlabelled, unlabelled[:0], IGNORE)) == 0


def test_groups_that_a_crop_shows_are_more_than_a_twentieth_of_it():
    label = np.full((10, 10), IGNORE, np.uint8)
    label[0, :5] = CITYSCAPES_CLASSES.index("sky")  # 5 %
    label[1, :4] = CITYSCAPES_CLASSES.index("car")
    label[1, 4:6] = CITYSCAPES_CLASSES.index("bus")
    groups = crops.class_groups(CITYSCAPES_CLASSES)
    shown = crops.shown_groups(label, groups)
    assert list(shown) == ["vehicle"]
    assert np.argwhere(shown["vehicle"]).tolist() == [[1, x] for x in range(6)]
