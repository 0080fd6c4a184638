"""The board's scalars, with a segmenter that reads the class off the red."""

import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.data import images, records
from kliep_tf.data.index import build_index
from kliep_tf.data.records import resolve_records
from kliep_tf.errors import UserError
from kliep_tf.segmentation.consistency_check import make_consistency_check

ROAD, VEGETATION, SKY = 0, 8, 10
SIZE = (4, 8)


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory):
    module = tf.Module()
    module.serve = tf.function(
        lambda images: {"classes": tf.one_hot(images[..., 0], 19)},
        input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)],
    )
    directory = str(tmp_path_factory.mktemp("segmenter"))
    tf.saved_model.save(module, directory, {"serving_default": module.serve})
    return directory


def write(write_records, directory, labelled):
    """Two frames: the upper half sky, the lower half road, colour = class."""
    label = np.full(SIZE, SKY, np.uint8)
    label[2:] = ROAD
    frame = np.repeat(label[..., np.newaxis], 3, axis=-1)
    directory = write_records(directory, [(frame, label)] * 2, labelled)
    return build_index(resolve_records(str(directory), "records"))


def repaint(batch):
    """Paints a quarter of the sky as vegetation."""
    pixels = images.to_uint8(batch).numpy()
    pixels[:, 0, :4] = VEGETATION
    return images.to_float(pixels)


def test_sky_that_became_vegetation_shows(segmenter, write_records, tmp_path):
    source = write(write_records, tmp_path / "r", labelled=True)
    check = make_consistency_check(segmenter, source, SIZE)
    figures = check(repaint)
    assert figures == {
        # IoU: road 1, sky 3/4, vegetation 0.
        "consistency/mean_iou": pytest.approx(1.75 / 3),
        "consistency/pixel_accuracy": pytest.approx(7 / 8),
        "consistency/sky_kept": 0.75,
        "consistency/sky_to_vegetation": 0.25,
        "consistency_by_class/road": 1.0,
        "consistency_by_class/sky": 0.75,
    }


def test_unchanged_images_keep_everything(segmenter, write_records, tmp_path):
    source = write(write_records, tmp_path / "r", labelled=True)
    figures = make_consistency_check(segmenter, source, SIZE)(lambda x: x)
    assert figures["consistency/mean_iou"] == 1.0
    assert figures["consistency/sky_to_vegetation"] == 0.0


def test_source_without_labels_is_refused(segmenter, write_records, tmp_path):
    source = write(write_records, tmp_path / "r", labelled=False)
    with pytest.raises(UserError, match="with labels, found none among 2"):
        make_consistency_check(segmenter, source, SIZE)


def test_damaged_example_is_told_in_one_line(
    segmenter, write_records, tmp_path
):
    (path,) = write(write_records, tmp_path / "r", labelled=True).paths
    first, second = records.read_shard(path)
    second = records.replace_image(second, b"no image", "png")
    records.write_shard(path, [first, second])
    with pytest.raises(UserError, match="damaged one, 'frame_001'") as raised:
        make_consistency_check(segmenter, build_index([path]), SIZE)
    assert "\n" not in str(raised.value)
