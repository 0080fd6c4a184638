import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.tools import saved_model_cli

from kliep_tf import export as program
from kliep_tf.errors import UserError
from kliep_tf.segmentation.networks import export_segmenter
from kliep_tf.translation.methods.cyclegan.method import METHOD
from kliep_tf.translation.methods.cyclegan.settings import CycleGANSettings
from kliep_tf.translation.networks import make_generator
from tests.conftest import SIZE
from tests.segmentation.small_network import small


@pytest.fixture(scope="module")
def model(trained_run):
    return tf.saved_model.load(str(trained_run / "saved_model"))


def image(height, width, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (1, height, width, 3)).astype(np.uint8)


@pytest.mark.parametrize("size", [(32, 48), (33, 47), (1, 1), (2, 130), (5, 7)])
def test_any_size_comes_back_as_that_size(model, size):
    found = model.signatures["translate_uint8"](
        images=tf.constant(image(*size))
    )
    assert found["translated"].shape == (1, *size, 3)
    assert found["translated"].dtype == tf.uint8


def test_signatures_agree(model):
    pixels = image(31, 45)
    by_pixels = model.signatures["translate_uint8"](images=tf.constant(pixels))[
        "translated"
    ]
    floats = tf.cast(pixels, tf.float32) / 127.5 - 1.0
    by_floats = model.signatures["translate_float"](images=floats)[
        "translated"
    ].numpy()
    rounded = np.clip(np.round((by_floats + 1.0) * 127.5), 0, 255)
    np.testing.assert_array_equal(by_pixels, rounded)
    encoded = tf.io.encode_png(pixels[0])
    by_bytes = model.signatures["serving_default"](image_bytes=encoded[None])[
        "translated_bytes"
    ]
    np.testing.assert_array_equal(tf.io.decode_png(by_bytes[0]), by_pixels[0])


@pytest.mark.parametrize("size", [(32, 48), (33, 47), (5, 7)])
@pytest.mark.parametrize("tile_height", [1, 12, 100])
def test_tiles_make_the_whole_image_of_any_size(model, size, tile_height):
    pixels = tf.constant(np.concatenate([image(*size), image(*size, seed=1)]))
    whole = model.signatures["translate_uint8"](images=pixels)["translated"]
    tiled = model.signatures["translate_uint8_tiled"](
        images=pixels, tile_height=tf.constant(tile_height)
    )["translated"]
    difference = np.abs(tiled.numpy().astype(int) - whole.numpy().astype(int))
    # Sums in another order: a value between two levels may go either way.
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.001


def test_tiles_of_no_rows_are_refused(model):
    with pytest.raises(tf.errors.InvalidArgumentError, match="tile_height"):
        model.signatures["translate_uint8_tiled"](
            images=tf.constant(image(8, 8)), tile_height=tf.constant(0)
        )


def test_padding_reflects_so_that_a_multiple_of_4_is_untouched(model):
    """The padded image, given as such, has the same upper left part."""
    pixels = image(30, 44)
    padded = np.pad(pixels, [(0, 0), (0, 2), (0, 0), (0, 0)], mode="reflect")
    translate = model.signatures["translate_uint8"]
    found = translate(images=tf.constant(pixels))["translated"]
    expected = translate(images=tf.constant(padded))["translated"][:, :30]
    np.testing.assert_array_equal(found, expected)


def test_images_of_a_batch_do_not_influence_each_other(model):
    pixels = np.concatenate([image(32, 48, seed) for seed in range(3)])
    translate = model.signatures["translate_float"]
    floats = tf.cast(pixels, tf.float32) / 127.5 - 1.0
    together = translate(images=floats)["translated"]
    alone = translate(images=floats[1:2])["translated"]
    np.testing.assert_allclose(together[1], alone[0], atol=1e-5)


def test_generators_and_segmenters_load_without_this_library(
    trained_run, tmp_path
):
    segmenter = tmp_path / "segmenter"
    export_segmenter(small(19, seed=0), segmenter)
    code = f"""
import sys, numpy as np, tensorflow as tf
model = tf.saved_model.load({str(trained_run / "saved_model")!r})
images = tf.zeros([1, 9, 10, 3], tf.uint8)
out = model.signatures["translate_uint8"](images=images)
assert out["translated"].shape == (1, 9, 10, 3)

serve = tf.saved_model.load({str(segmenter)!r}).signatures["serving_default"]
for size in ((32, 64), (33, 47)):
    out = serve(images=tf.zeros([2, *size, 3], tf.uint8))
    assert list(out) == ["probabilities"], list(out)
    shares = out["probabilities"]
    assert shares.shape == (2, *size, 19) and shares.dtype == tf.float32
    np.testing.assert_allclose(tf.reduce_sum(shares, -1), 1.0, atol=1e-5)
assert not {{"kliep_tf", "tfrecords_tools"}} & set(sys.modules)
"""
    # Outside of the checkout and without the user's site: nothing to import.
    subprocess.run([sys.executable, "-I", "-c", code], check=True, cwd=tmp_path)


@pytest.mark.parametrize(
    ("signature", "inputs"),
    [
        ("translate_uint8", {}),
        ("translate_uint8_tiled", {"tile_height": np.int32(8)}),
    ],
)
def test_c_plus_plus_loader_runs_it(
    model, trained_run, tmp_path, signature, inputs
):
    """saved_model_cli runs the graph by a session, as TensorFlow Serving."""
    saved_model_cli.run_saved_model_with_feed_dict(
        str(trained_run / "saved_model"),
        "serve",
        signature,
        {"images": image(*SIZE), **inputs},
        str(tmp_path),
        overwrite_flag=False,
    )
    found = np.load(tmp_path / "translated.npy")
    expected = model.signatures["translate_uint8"](
        images=tf.constant(image(*SIZE))
    )["translated"]
    difference = np.abs(found.astype(int) - expected.numpy().astype(int))
    assert difference.max() <= 1


def test_averaged_generator_is_restored_where_one_is_kept(tmp_path):
    settings = CycleGANSettings(
        generator_filters=2, num_residual_blocks=1, generator_ema=0.9
    )
    options = {"filters": 2, "num_residual_blocks": 1}
    generator = make_generator(seed=1, **options)
    average = make_generator(seed=2, **options)
    checkpoint = tf.train.Checkpoint(
        source_to_target=generator, averaged_source_to_target=average
    ).write(str(tmp_path / "ckpt"))
    for averaged, expected in ((False, generator), (True, average)):
        found = METHOD.restore(checkpoint, settings, averaged).network
        for one, other in zip(
            found.get_weights(), expected.get_weights(), strict=True
        ):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"run_dir": "/no/such/run"}, "/no/such/run"),
        ({"step": 77}, "--step=77: expected one of 2, 3"),
    ],
)
def test_what_cannot_be_exported_is_named(
    trained_run, tmp_path, options, message
):
    arguments = {
        "run_dir": str(trained_run),
        "output_dir": str(tmp_path / "out"),
        **options,
    }
    with pytest.raises(UserError, match=message):
        program.export(program.ExportConfig(**arguments))


def test_half_written_export_is_no_saved_model(trained_run, tmp_path):
    """saved_model.pb arrives last; without it nothing loads."""
    output = tmp_path / "out"
    shutil.copytree(trained_run / "saved_model", output)
    (output / "saved_model.pb").unlink()
    with pytest.raises(OSError, match="does not exist"):
        tf.saved_model.load(str(output))
