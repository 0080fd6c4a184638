import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.data import records
from kliep_tf.data.class_sets import CITYSCAPES_CLASSES, ClassSet, LabelClass
from kliep_tf.data.reading import make_example_dataset
from kliep_tf.density_ratio.extraction import ExtractionSettings, Inputs
from kliep_tf.density_ratio.extractors import EXTRACTORS, require_inputs
from kliep_tf.density_ratio.scaling import SCALINGS
from kliep_tf.errors import UserError

CLASS_NAMES = CITYSCAPES_CLASSES.names
ROAD, SKY = CLASS_NAMES.index("road"), CLASS_NAMES.index("sky")


def _png(pixels) -> bytes:
    return tf.io.encode_png(np.asarray(pixels, np.uint8)).numpy()


def _dataset(tmp_path, frames):
    """Records of (image [H, W, 3], label [H, W] or None), read back."""
    path = str(tmp_path / "train-00000-of-00001.tfrecord")
    examples = []
    for number, (image, label) in enumerate(frames):
        encoded = None if label is None else _png(np.asarray(label)[..., None])
        examples.append(
            records.encode_example(
                _png(image),
                filename=f"frame_{number}",
                height=len(image),
                width=len(image[0]),
                label=encoded,
            )
        )
    records.write_shard(path, examples)
    return make_example_dataset([path])


def _extract(name, tmp_path, frames, **settings):
    dataset = _dataset(tmp_path, frames)
    return EXTRACTORS[name].extract(
        dataset, len(frames), ExtractionSettings(**settings)
    )


def _gray(height, width):
    return np.full((height, width, 3), 128)


# Two sizes: 3 of 4 known pixels are sky; 1 of 2 is.
SHARES_FRAMES = (
    (_gray(1, 5), [[SKY, SKY, SKY, ROAD, 255]]),
    (_gray(2, 1), [[SKY], [ROAD]]),
)


def test_class_histogram_leaves_ignored_pixels_out(tmp_path):
    found = _extract("class_histogram", tmp_path, SHARES_FRAMES)
    expected = np.zeros((2, 19))
    expected[:, SKY] = 3 / 4, 1 / 2
    expected[:, ROAD] = 1 / 4, 1 / 2
    np.testing.assert_array_equal(found.values, expected)
    assert found.values.dtype == np.float32
    assert found.filenames.tolist() == ["frame_0", "frame_1"]
    assert found.names.tolist() == list(CLASS_NAMES)


def test_layout_has_the_shares_of_each_cell(tmp_path):
    # 4 rows and 8 columns: cells of 1x2 pixels.
    label = np.full((4, 8), ROAD)
    label[0] = SKY
    label[1, 0] = SKY  # cell (1, 0): one of two pixels
    label[2, 2] = 255  # cell (2, 1): the known pixel alone counts
    label[3, 6:] = 255  # cell (3, 3): nothing known
    found = _extract("layout", tmp_path, [(_gray(4, 8), label)])
    cells = found.values.reshape(4, 4, 19)
    np.testing.assert_array_equal(cells[0, :, SKY], 1.0)
    assert cells[1, 0, SKY] == cells[1, 0, ROAD] == 1 / 2
    assert cells[2, 1, ROAD] == 1.0
    # The whole image: 9 sky pixels and 32 - 9 - 3 of road.
    np.testing.assert_allclose(cells[3, 3, SKY], 9 / 29, rtol=1e-6)
    np.testing.assert_allclose(cells.sum(-1), 1.0, rtol=1e-6)
    assert found.names[SKY] == "row 0 column 0 sky"
    assert found.names[-19 + ROAD] == "row 3 column 3 road"


def test_layout_of_sizes_that_four_does_not_divide(tmp_path):
    label = np.full((5, 7), ROAD)
    found = _extract("layout", tmp_path, [(_gray(5, 7), label)])
    cells = found.values.reshape(16, 19)
    np.testing.assert_array_equal(cells[:, ROAD], 1.0)


def test_thumbnail_averages_areas(tmp_path):
    image = np.zeros((16, 32, 3))
    image[0, 0] = (255, 0, 0)  # one of the 2 x 4 pixels of the first cell
    image[-2:, -4:, 2] = 102  # all of the last cell
    found = _extract("thumbnail", tmp_path, [(image, None), (image, None)])
    first = found.values[0].reshape(8, 8, 3)
    np.testing.assert_allclose(first[0, 0], [1 / 8, 0, 0], atol=1e-6)
    np.testing.assert_allclose(first[7, 7], [0, 0, 0.4], atol=1e-6)
    assert first.sum() == pytest.approx(1 / 8 + 0.4, rel=1e-5)
    assert found.names[:3].tolist() == [
        "row 0 column 0 red",
        "row 0 column 0 green",
        "row 0 column 0 blue",
    ]


def _red_share_is_sky(images: tf.Tensor) -> tf.Tensor:
    """A soft segmenter: the red channel is the probability of sky."""
    sky = tf.cast(images[..., 0], tf.float32) / 255.0
    return sky[..., None] * tf.one_hot(SKY, 19) + (
        1.0 - sky[..., None]
    ) * tf.one_hot(ROAD, 19)


def test_segmenter_histogram_is_the_mean_probability(tmp_path):
    # Unlabelled, of three sizes, more than one batch.
    frames = [
        (np.full((height, 6, 3), value), None)
        for height, value in ((4, 255), (5, 51), (9, 0))
    ]
    found = _extract(
        "segmenter_histogram",
        tmp_path,
        frames,
        network=_red_share_is_sky,
        image_size=(8, 8),
        batch_size=2,
    )
    np.testing.assert_allclose(found.values[:, SKY], [1, 0.2, 0], atol=1e-6)
    np.testing.assert_allclose(found.values[:, ROAD], [0, 0.8, 1], atol=1e-6)


def test_segmenter_sees_the_working_size(tmp_path):
    seen = []

    def segmenter(images):
        seen.append((images.shape, images.dtype))
        return _red_share_is_sky(images)

    frames = [(_gray(3, 5), None)] * 3
    _extract(
        "segmenter_histogram",
        tmp_path,
        frames,
        network=segmenter,
        image_size=(16, 24),
        batch_size=2,
    )
    assert seen == [
        ((2, 16, 24, 3), tf.uint8),
        ((1, 16, 24, 3), tf.uint8),
    ]


def test_batches_end_with_their_shard(tmp_path):
    """So that features are the same where shards are extracted apart."""
    seen = []

    def segmenter(images):
        seen.append(images[:, 0, 0, 0].numpy().tolist())
        return _red_share_is_sky(images)

    paths = []
    for shard, values in enumerate([(1, 2, 3), (4,), (5, 6)]):
        folder = tmp_path / str(shard)
        folder.mkdir()
        frames = [(np.full((2, 2, 3), value), None) for value in values]
        _dataset(folder, frames)
        paths.append(str(folder / records.shard_name("train", 0, 1)))
    EXTRACTORS["segmenter_histogram"].extract(
        make_example_dataset(paths),
        6,
        ExtractionSettings(network=segmenter, image_size=(2, 2), batch_size=2),
    )
    assert seen == [[1, 2], [3], [4], [5, 6]]


def test_missing_segmenter_is_said(tmp_path):
    with pytest.raises(UserError, match=r"as --segmenter, or labels .*neither"):
        _extract("segmenter_histogram", tmp_path, SHARES_FRAMES)


@pytest.mark.parametrize("name", ["class_histogram", "layout"])
def test_first_unlabelled_example_and_the_alternatives_are_named(
    name, tmp_path
):
    frames = [*SHARES_FRAMES, (_gray(2, 2), None), (_gray(2, 2), None)]
    with pytest.raises(UserError) as raised:
        _extract(name, tmp_path, frames, flag="target_records")
    message = str(raised.value)
    assert "\n" not in message
    for word in ("--target_records", name, "'frame_2'", "thumbnail"):
        assert word in message


@pytest.mark.parametrize("name", ["class_histogram", "layout"])
def test_label_ids_are_not_taken_for_train_ids(name, tmp_path):
    with pytest.raises(UserError, match=r"expected train ids 0\.\.18 and 255"):
        _extract(name, tmp_path, [(_gray(1, 2), [[ROAD, 33]])])


def test_wrong_number_of_examples_is_noticed(tmp_path):
    dataset = _dataset(tmp_path, SHARES_FRAMES)
    for number in (1, 3):
        with pytest.raises(UserError, match=f"expected {number} examples"):
            EXTRACTORS["thumbnail"].extract(
                dataset, number, ExtractionSettings()
            )


def test_every_extractor_has_a_scaling_and_says_what_it_needs():
    for name, extractor in EXTRACTORS.items():
        assert extractor.name == name
        assert extractor.scaling in SCALINGS
        assert extractor.needs


def test_what_is_missing_is_said_before_anything_is_read():
    with pytest.raises(UserError, match=r"as --segmenter, or labels .*neither"):
        require_inputs(EXTRACTORS["segmenter_histogram"], Inputs())
    with pytest.raises(UserError, match="--embedding_weights, found none"):
        require_inputs(EXTRACTORS["embedding"], Inputs())
    require_inputs(EXTRACTORS["thumbnail"], Inputs())


@pytest.mark.parametrize("features", ["class_histogram", "layout"])
def test_labels_of_ignored_pixels_alone_are_refused_before_extraction(
    tmp_path, features
):
    """As Cityscapes gives them out for its test split."""
    shards = {}
    for domain, value in (("source", SKY), ("target", 255)):
        (tmp_path / domain).mkdir()
        label = np.full((2, 3), value)
        _dataset(tmp_path / domain, [(_gray(2, 3), label)] * 2)
        name = records.shard_name("train", 0, 1)
        shards[f"{domain}_records"] = [str(tmp_path / domain / name)]
    with pytest.raises(UserError, match=r"--target_records: .*is ignored"):
        require_inputs(EXTRACTORS[features], Inputs(shards=shards))


THREE = ClassSet(
    "three",
    tuple(LabelClass(name, (0, 0, 0)) for name in ("floor", "wall", "air")),
    ignore_label=200,
)


def test_classes_come_with_the_data(tmp_path):
    frame = (_gray(1, 5), [[2, 2, 2, 0, 200]])
    found = _extract("class_histogram", tmp_path, [frame], classes=THREE)
    assert found.names.tolist() == ["floor", "wall", "air"]
    np.testing.assert_array_equal(found.values, [[1 / 4, 0, 3 / 4]])
    cells = _extract("layout", tmp_path, [frame], classes=THREE)
    assert cells.values.shape == (1, 16 * 3)
    assert cells.names[-1] == "row 3 column 3 air"


def test_label_of_another_set_of_classes_is_refused(tmp_path):
    # 3 is a train id of Cityscapes and none of the three classes.
    frame = (_gray(1, 2), [[0, 3]])
    with pytest.raises(UserError, match=r"expected train ids 0\.\.2 and 200"):
        _extract("class_histogram", tmp_path, [frame], classes=THREE)


def test_segmenter_of_other_classes_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"the 3 classes of .*, found 19"):
        _extract(
            "segmenter_histogram",
            tmp_path,
            [(_gray(3, 5), None)],
            network=_red_share_is_sky,
            image_size=(8, 8),
            classes=THREE,
        )
