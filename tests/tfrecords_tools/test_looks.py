"""The looks of the drawn city: what a finish may change, and what it shows."""

import numpy as np
import pytest

from kliep_tf.errors import UserError
from tfrecords_tools.city import daylight, palettes
from tfrecords_tools.city.rendering import render_frame
from tfrecords_tools.city.sketch import LABEL_IDS, Camera
from tfrecords_tools.render_demo import (
    RenderDemoConfig,
    render_demo,
    source_frames,
)

SKY, ROAD, LEAVES, CAR = (
    LABEL_IDS[name] for name in ("sky", "road", "vegetation", "car")
)
BLUE = np.array((70, 150, 245), np.float32) / 255
CLEAR, OVERCAST = daylight.Day(cover=0.0), daylight.Day(cover=1.0)


def config_of(output_dir, source_look, **changes):
    flags = {
        "output_dir": str(output_dir),
        "num_source": 12,
        "num_target": 1,
        "num_val": 0,
        "image_height": 48,
        "image_width": 96,
        "num_workers": 0,
        "source_look": source_look,
    }
    return RenderDemoConfig(**{**flags, **changes})


def sky_over_road(height=48, width=96):
    """Labels whose upper half is sky, and the camera that sees them so."""
    labels = np.full((height, width), SKY, np.uint8)
    labels[height // 2 :] = ROAD
    return labels, Camera(width, height, horizon=0.5, heading=0.5)


def skies(day, count=20):
    """Returns float32 [count, 24, 96, 3]: blue skies under other clouds."""
    labels, _ = sky_over_road()
    scene = np.broadcast_to(BLUE, (*labels.shape, 3))
    return np.stack(
        [
            daylight.light_sky(scene, labels, day, np.random.default_rng(i))
            for i in range(count)
        ]
    )[:, :24]


def test_a_look_changes_the_sources_pictures_and_nothing_else(tmp_path):
    for look in ("flat", "textured"):
        render_demo(config_of(tmp_path / look, look))

    def files(look):
        root = tmp_path / look
        found = [*root.rglob("*.png"), *root.rglob("scenes.csv")]
        return {path.relative_to(root): path.read_bytes() for path in found}

    flat, textured = files("flat"), files("textured")
    assert flat.keys() == textured.keys()
    differ = {str(path) for path in flat if flat[path] != textured[path]}
    assert differ == {f"gta5/images/{i + 1:05d}.png" for i in range(12)}


def test_leaves_differ_from_pixel_to_pixel_when_textured(tmp_path):
    def steps(look):
        """How much neighbouring pixels of vegetation differ, on average."""
        found = []
        for frame in source_frames(config_of(tmp_path, look)):
            picture, labels = render_frame(frame)
            green = picture[..., 1].astype(float)
            both = (labels[:, 1:] == LEAVES) & (labels[:, :-1] == LEAVES)
            found.append(np.abs(np.diff(green, axis=1))[both])
        return np.concatenate(found).mean()

    # Flat crowns are a few discs of one green each.
    assert steps("textured") > 4 * steps("flat")


def test_a_clear_sky_pales_towards_the_horizon():
    # Where no cloud is: the upper row is the palette's blue, the lowest is
    # almost half of the way to a cloud's white.
    red = np.median(skies(CLEAR)[..., 0], axis=(0, 2))
    assert red[0] == pytest.approx(BLUE[0], abs=1e-3)
    assert red[-1] == pytest.approx(
        BLUE[0] + 0.45 * 23 / 24 * (0.93 - BLUE[0]), abs=1e-3
    )
    assert (np.diff(red) > 0).all()


def test_an_overcast_sky_is_grey():
    sky = skies(OVERCAST)
    spread = sky.max(axis=-1) - sky.min(axis=-1)
    # The palette's blue has a spread of .69.
    assert np.median(spread) < 0.05
    assert np.median(sky) > 0.75


def test_only_the_sky_is_clouded():
    labels, _ = sky_over_road()
    scene = np.full((*labels.shape, 3), 0.5, np.float32)
    rng = np.random.default_rng(0)
    lit = daylight.light_sky(scene, labels, OVERCAST, rng)
    assert (lit[labels == ROAD] == 0.5).all()


def test_shadows_lie_on_the_ground_and_are_bluer_than_the_sun():
    labels, camera = sky_over_road()
    labels[30:36, 40:60] = CAR
    for seed in range(20):
        rng = np.random.default_rng(seed)
        light = daylight.light_on_ground(labels, camera, CLEAR, rng)
        assert light.dtype == np.float32
        assert (light[labels != ROAD] == 1).all()
        red, green, blue = light[labels == ROAD].T
        assert ((red <= green) & (green <= blue) & (blue <= 1)).all()
        assert red.min() < 0.6


def test_overcast_days_have_no_shadows():
    labels, camera = sky_over_road()
    rng = np.random.default_rng(0)
    assert (daylight.light_on_ground(labels, camera, OVERCAST, rng) == 1).all()


def test_tones_by_hand():
    scene = np.array([[[0.0, 0.5, 2.0]]], np.float32)
    # .5 / (1 + .12 .25) = .4854; 2 / (1 + .12 4) = 1.35, which is white.
    np.testing.assert_array_equal(
        daylight.tones(scene, CLEAR), [[[0, 124, 255]]]
    )
    # Twice the light on .5 is 1, and 1 / 1.12 = .893; red of a warm day more.
    bright = daylight.Day(cover=0, exposure=2, warmth=0.1)
    grey = np.full((1, 1, 3), 0.5, np.float32)
    red, green, blue = daylight.tones(grey, bright)[0, 0]
    assert green == 228 and red > green > blue


@pytest.mark.parametrize("heading, horizon", [(0.5, 0.5), (0.3, 0.42)])
def test_ground_is_where_the_camera_projects_it(heading, horizon):
    camera = Camera(120, 60, horizon, heading)
    x, z = camera.ground()
    rows = np.arange(60) + 0.5
    assert np.isinf(z[rows < 60 * horizon]).all()
    pixels = [(10, 40), (100, 45), (60, 59)]
    points = [(x[row, col], 0, z[row, col]) for col, row in pixels]
    np.testing.assert_allclose(
        camera.project(points), np.array(pixels) + 0.5, rtol=1e-5
    )


@pytest.mark.parametrize("height, width", [(32, 32), (32, 900), (200, 33)])
@pytest.mark.parametrize("label", [SKY, ROAD])
def test_pictures_of_any_shape_and_of_one_label(height, width, label):
    labels = np.full((height, width), label, np.uint8)
    picture = np.full((height, width, 3), 128, np.uint8)
    found = daylight.finish(
        picture,
        labels,
        Camera(width, height, horizon=0.5, heading=0.5),
        np.random.default_rng(0),
    )
    assert found.shape == picture.shape and found.dtype == np.uint8


def test_a_mix_of_palettes_lies_between_them():
    first, second = palettes.ENGINE_PALETTE, palettes.CAMERA_PALETTE
    assert palettes.mix(first, second, 0) == first
    assert palettes.mix(first, second, 1) == second
    # (70, 150, 245) and (188, 207, 228).
    assert palettes.mix(first, second, 0.5)["sky"] == ((129, 178, 236),)


def test_one_frame_is_one_picture(tmp_path):
    frame = source_frames(config_of(tmp_path, "textured"))[0]
    np.testing.assert_array_equal(
        render_frame(frame)[0], render_frame(frame)[0]
    )


def test_an_unknown_look_is_named(tmp_path):
    with pytest.raises(
        UserError, match="--source_look: expected one of flat, textured, found"
    ):
        render_demo(config_of(tmp_path, "camera"))
