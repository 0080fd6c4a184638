import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.data import images, records
from kliep_tf.data.class_sets import CITYSCAPES_CLASSES, ClassSet, LabelClass
from kliep_tf.data.index import build_index
from kliep_tf.data.records import resolve_records
from kliep_tf.errors import UserError
from kliep_tf.segmentation.consistency import (
    SKY_TO_VEGETATION,
    WatchedConfusion,
    make_consistency_check,
    predicted_share,
    semantic_consistency,
)

ROAD, VEGETATION, SKY = (
    CITYSCAPES_CLASSES.index(name) for name in ("road", "vegetation", "sky")
)
SIZE = (4, 8)


def _red_channel_is_the_class(images: tf.Tensor) -> tf.Tensor:
    return tf.one_hot(tf.cast(images[..., 0], tf.int32), 19)


def test_trees_in_the_sky_are_counted():
    label = np.full((1, 2, 4, 1), SKY, np.uint8)
    label[:, 1] = ROAD
    label[:, 1, 3] = 255
    image = np.repeat(np.where(label == 255, 0, label), 3, axis=-1)
    image[:, 0, 0] = VEGETATION  # one of four sky pixels is painted over
    matrix = semantic_consistency(
        _red_channel_is_the_class,
        [(image.astype(np.uint8), label), (image.astype(np.uint8), label)],
    )
    # Two batches: sky 2 x (3 kept + 1 vegetation), road 2 x 3, one ignored.
    assert matrix[SKY, SKY] == 6
    assert matrix[SKY, VEGETATION] == 2
    assert matrix[ROAD, ROAD] == 6
    assert matrix.sum() == 14
    assert SKY_TO_VEGETATION.kept(matrix) == 6 / 8
    assert SKY_TO_VEGETATION.confused(matrix) == 2 / 8
    assert predicted_share(matrix, "road", "road") == 1.0


def test_share_of_an_unlabelled_class_is_undefined():
    assert np.isnan(SKY_TO_VEGETATION.kept(np.zeros((19, 19), np.int64)))


def test_unknown_class_is_an_error():
    with pytest.raises(UserError, match="found 'heaven'"):
        predicted_share(np.zeros((19, 19)), "heaven", "sky")


def test_chosen_pair_must_be_in_the_classes_and_the_default_may_be_left_out():
    few = ClassSet("few", (LabelClass("thing", (1, 2, 3)),))
    SKY_TO_VEGETATION.require(few)
    assert not SKY_TO_VEGETATION.is_in(few)
    with pytest.raises(UserError, match=r"class of few .*found 'sky'"):
        WatchedConfusion("sky", "thing").require(few)


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


def test_another_pair_can_be_watched(segmenter, write_records, tmp_path):
    source = write(write_records, tmp_path / "r", labelled=True)
    watched = WatchedConfusion("road", "traffic sign")
    check = make_consistency_check(segmenter, source, SIZE, watched=watched)
    figures = check(repaint)
    assert figures["consistency/road_kept"] == 1.0
    assert figures["consistency/road_to_traffic_sign"] == 0.0
    assert "consistency/sky_kept" not in figures


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
