import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.data.class_sets import (
    CITYSCAPES_CLASSES,
    ClassSet,
    LabelClass,
)
from kliep_tf.errors import UserError
from kliep_tf.segmentation.inference import (
    average_views,
    load_segmenter,
    predict_labels,
)
from kliep_tf.segmentation.networks import export_segmenter, tiny
from kliep_tf.segmentation.signatures import segmenter_classes
from tests.segmentation.small_network import small


@pytest.fixture(scope="module")
def network():
    return tiny(19, seed=3)


@pytest.fixture(scope="module")
def exported(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "saved_model"
    export_segmenter(network, path)
    return path


def _images(*shape: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, shape, dtype=np.uint8)


def _save(path, function, spec, signature="serving_default"):
    """Writes a stranger's SavedModel of one function."""
    module = tf.Module()
    module.serve = tf.function(function, [spec], autograph=False)
    tf.saved_model.save(module, str(path), {signature: module.serve})
    return path


def _spec(dtype=tf.uint8, shape=(None, None, None, 3)) -> tf.TensorSpec:
    return tf.TensorSpec(shape, dtype, "pixels")


def _red_is_sky(images: tf.Tensor) -> tf.Tensor:
    """Logits: class 10 where the red channel is above 127, else class 0."""
    red = tf.cast(images[..., 0], tf.float32) > 127.5
    return 20.0 * tf.one_hot(tf.where(red, 10, 0), 19)


def test_export_computes_what_the_network_does(network, exported):
    images = _images(1, 40, 56, 3)
    logits = network(images / np.float32(127.5) - 1, training=False)
    np.testing.assert_allclose(
        load_segmenter(exported)(images), tf.nn.softmax(logits), atol=1e-5
    )
    # That it loads without this library: tests/programs/test_export.py.


FEW = ClassSet(
    "few", tuple(LabelClass(name, (0, 0, 0)) for name in ("thing", "stuff"))
)


@pytest.fixture(scope="module")
def exported_few(tmp_path_factory):
    path = tmp_path_factory.mktemp("few") / "saved_model"
    export_segmenter(small(2, seed=0), path, FEW)
    return path


def test_export_says_which_classes_it_has(exported, exported_few):
    assert segmenter_classes(exported) == CITYSCAPES_CLASSES
    assert segmenter_classes(exported_few) == FEW
    segmenter = load_segmenter(exported_few, FEW)
    assert segmenter(_images(1, 8, 8, 3)).shape == (1, 8, 8, 2)


def test_segmenter_of_other_classes_is_refused(exported, exported_few):
    message = r"2 classes of few \(thing, stuff\), found a segmenter of other"
    with pytest.raises(UserError, match=message):
        load_segmenter(exported, FEW)
    # As many, but others.
    swapped = ClassSet("swapped", FEW.classes[::-1])
    with pytest.raises(UserError, match="segmenter of other classes: 2 of few"):
        load_segmenter(exported_few, swapped)


def test_19_outputs_of_an_old_export_mean_cityscapes(network, tmp_path):
    path = _save(tmp_path / "model", _red_is_sky, _spec())
    assert segmenter_classes(path) is None
    load_segmenter(path, CITYSCAPES_CLASSES)
    names = [f"class {number}" for number in range(19)]
    others = ClassSet("19", tuple(LabelClass(n, (0, 0, 0)) for n in names))
    with pytest.raises(UserError, match="segmenter of other classes"):
        load_segmenter(path, others)


def test_classes_that_a_stranger_does_not_name_are_those_of_the_data(tmp_path):
    path = _save(tmp_path / "model", lambda x: _red_is_sky(x)[..., :2], _spec())
    assert load_segmenter(path, FEW)(_images(1, 4, 4, 3)).shape[-1] == 2
    with pytest.raises(UserError, match="found a segmenter of other classes"):
        load_segmenter(path)


def test_export_leaves_nothing_beside_the_model(exported):
    assert [path.name for path in exported.parent.iterdir()] == ["saved_model"]


def test_failed_export_leaves_no_model(tmp_path):
    path = tmp_path / "missing" / "saved_model"
    (tmp_path / "missing").write_text("a file in the way")
    with pytest.raises(OSError):
        export_segmenter(small(19, seed=0), path)
    assert not path.exists()


OUTPUTS = {
    "logits": _red_is_sky,
    "shares": lambda x: tf.nn.softmax(_red_is_sky(x)),
    "train ids beside another output": lambda x: {
        "ids": tf.argmax(_red_is_sky(x), -1),
        "scalar": 1.0,
    },
    "train ids with a channel": lambda x: tf.argmax(_red_is_sky(x), -1)[
        ..., None
    ],
    "half resolution": lambda x: _red_is_sky(x)[:, ::2, ::2],
}
INPUTS = {
    "uint8": _spec(),
    "float": _spec(tf.float32),
    "batch of one": _spec(shape=(1, None, None, 3)),
    "fixed size": _spec(shape=(None, 16, 24, 3)),
}


@pytest.mark.parametrize(
    ("output", "given"),
    [
        *((output, "uint8") for output in OUTPUTS),
        *(("logits", given) for given in INPUTS if given != "uint8"),
        ("half resolution", "fixed size"),
        ("train ids with a channel", "batch of one"),
    ],
)
def test_any_segmentation_model_will_do(output, given, tmp_path):
    segmenter = load_segmenter(
        _save(tmp_path / "model", OUTPUTS[output], INPUTS[given])
    )
    images = np.zeros((2, 32, 48, 3), np.uint8)
    images[1, :, :, 0] = 255
    shares = segmenter(images)
    assert shares.shape == (2, 32, 48, 19) and shares.dtype == tf.float32
    np.testing.assert_allclose(tf.reduce_sum(shares, -1), 1.0, atol=1e-5)
    labels = predict_labels(segmenter, images)
    assert labels.dtype == np.uint8
    assert (labels[0] == 0).all() and (labels[1] == 10).all()


def test_only_signature_is_taken_whatever_its_name(tmp_path):
    path = _save(tmp_path / "model", _red_is_sky, _spec(), "segment")
    assert load_segmenter(path)(_images(1, 8, 8, 3)).shape == (1, 8, 8, 19)


@pytest.mark.parametrize(
    "function, spec, message",
    [
        (lambda x: x[..., :2], _spec(tf.float32), "expected one output of 19"),
        (lambda x: x, _spec(shape=(None,)), "expected one input of images"),
        (
            lambda x: {"a": _red_is_sky(x), "b": _red_is_sky(x)},
            _spec(),
            "expected one output of 19",
        ),
    ],
)
def test_other_models_are_refused(function, spec, message, tmp_path):
    path = _save(tmp_path / "model", function, spec)
    with pytest.raises(UserError, match=message) as raised:
        load_segmenter(path)
    assert "\n" not in str(raised.value)
    assert str(path) in str(raised.value)


def test_ids_that_are_no_train_ids_are_refused(tmp_path):
    path = _save(
        tmp_path / "model", lambda x: tf.cast(x[..., 0], tf.int32), _spec()
    )
    with pytest.raises(UserError, match=r"expected train ids 0\.\.18"):
        load_segmenter(path)(np.full((1, 4, 4, 3), 33, np.uint8))


def test_values_that_are_not_finite_are_refused(tmp_path):
    """Of nothing but NaN the first class would be the largest: road."""
    path = _save(
        tmp_path / "model",
        lambda x: tf.math.log(_red_is_sky(x) - 1.0),
        _spec(),
    )
    with pytest.raises(UserError, match="expected finite values"):
        load_segmenter(path)(_images(1, 4, 4, 3))


def test_logits_may_rule_classes_out(tmp_path):
    path = _save(
        tmp_path / "model", lambda x: tf.math.log(_red_is_sky(x)), _spec()
    )
    images = np.zeros((1, 4, 4, 3), np.uint8)
    assert (predict_labels(load_segmenter(path), images) == 0).all()


def test_missing_or_damaged_model_is_named(tmp_path):
    with pytest.raises(UserError, match=r"found no saved_model\.pb"):
        load_segmenter(tmp_path / "nothing")
    (tmp_path / "saved_model.pb").write_bytes(b"no graph")
    with pytest.raises(UserError, match="does not load") as raised:
        load_segmenter(tmp_path)
    assert "\n" not in str(raised.value)


def _left_is_class_1(images: tf.Tensor) -> tf.Tensor:
    """Class 1 in the left half, class 0 in the right, whatever is shown."""
    width = tf.shape(images)[2]
    left = tf.cast(tf.range(width) < width // 2, tf.int32)
    classes = tf.broadcast_to(left, tf.shape(images)[:3])
    return tf.one_hot(classes, 19)


def test_mirror_images_are_mirrored_back():
    images = tf.zeros([2, 3, 4, 3], tf.uint8)
    shares = average_views(_left_is_class_1, (1.0,), flip=True)(images)
    # Seen once from each side, every pixel is half of either class.
    np.testing.assert_allclose(shares[..., :2], 0.5)
    np.testing.assert_allclose(shares[..., 2:], 0.0)


def test_shares_are_the_mean_over_scales():
    seen = []

    def brightness_is_the_share(images: tf.Tensor) -> tf.Tensor:
        seen.append(tuple(images.shape[1:3]))
        # A constant per view: 1 / height of what is shown.
        share = tf.ones(images.shape[:3]) / float(images.shape[1])
        return tf.stack([share, 1 - share], -1)

    images = tf.zeros([1, 8, 16, 3], tf.uint8)
    shares = average_views(brightness_is_the_share, (0.5, 1.0, 2.0), False)(
        images
    )
    assert seen == [(4, 8), (8, 16), (16, 32)]
    assert shares.shape == (1, 8, 16, 2)
    expected = (1 / 4 + 1 / 8 + 1 / 16) / 3
    np.testing.assert_allclose(shares[..., 0], expected, rtol=1e-6)


def test_one_scale_and_no_mirror_is_the_segmenter_itself():
    assert average_views(_left_is_class_1, (1.0,), False) is _left_is_class_1
