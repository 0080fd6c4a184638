"""Features of a set of images, gathered and kept."""

import numpy as np
import pytest

from kliep_tf.data.class_sets import CITYSCAPES_CLASSES
from kliep_tf.data.pipeline import LabelledImages
from kliep_tf.errors import DataError
from kliep_tf.realism import image_sets

SKY, ROAD = CITYSCAPES_CLASSES.index("sky"), CITYSCAPES_CLASSES.index("road")


def mean_colors(images):
    return images.astype(np.float64).mean((1, 2))


@pytest.fixture(scope="module")
def gathered():
    """Two images of 16x32, sky of 100 over road of 50; the second all road."""
    label = np.full((2, 16, 32, 1), ROAD, np.uint8)
    label[0, :8] = SKY
    image = np.where(label == SKY, 100, 50).repeat(3, -1).astype(np.uint8)
    batch = LabelledImages(image, label, np.array([b"a", b"b"]), np.ones(2))
    done = []
    found = image_sets.gather(
        [batch], mean_colors, CITYSCAPES_CLASSES, 0, done.append
    )
    assert done == [2]
    return found


def test_whole_images_crops_and_cells(gathered):
    np.testing.assert_allclose(gathered.images, [[75] * 3, [50] * 3])
    # One crop of 8x8 pixels an image; each cell is half a pixel.
    sky = np.mean(gathered.cells == SKY, axis=1)
    np.testing.assert_allclose(gathered.crops[:, 0], 50 + 50 * sky)
    assert sky[1] == 0


def test_groups_are_seen_with_all_else_black(gathered):
    rows, features = gathered.groups["road"]
    road = np.mean(gathered.cells == ROAD, axis=1)
    np.testing.assert_allclose(features[:, 0], 50 * road[rows])
    assert 1 in rows
    assert set(gathered.groups) <= {"road", "sky"}


def test_crop_of_an_image_depends_on_its_name_and_the_seed_alone():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (2, 32, 64, 3)).astype(np.uint8)
    label = np.zeros((2, 32, 64, 1), np.uint8)

    def crops_of(order, seed):
        names = np.array([b"a", b"b"])[order]
        batch = LabelledImages(image[order], label, names, np.ones(2))
        classes = CITYSCAPES_CLASSES
        found = image_sets.gather([batch], mean_colors, classes, seed)
        return found.crops[np.argsort(names)]

    there, back = [0, 1], [1, 0]
    np.testing.assert_array_equal(crops_of(there, 0), crops_of(back, 0))
    assert (crops_of(there, 0) != crops_of(there, 1)).any()


def test_kept_features_are_those_that_were_written(gathered, tmp_path):
    path = tmp_path / "features.npz"
    image_sets.save(path, gathered)
    loaded = image_sets.load(path)
    np.testing.assert_array_equal(loaded.images, gathered.images)
    np.testing.assert_array_equal(loaded.cells, gathered.cells)
    assert loaded.groups.keys() == gathered.groups.keys()
    for name, arrays in gathered.groups.items():
        for one, other in zip(loaded.groups[name], arrays, strict=True):
            np.testing.assert_array_equal(one, other)


def test_damaged_file_is_refused_in_one_line(tmp_path):
    path = tmp_path / "features.npz"
    path.write_bytes(b"no zip")
    with pytest.raises(DataError, match="expected the features"):
        image_sets.load(path)
