"""The looks of the drawn city: what a finish may change, and what it shows."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from tfrecords_tools.city import daylight, palettes
from tfrecords_tools.city.rendering import render_frame
from tfrecords_tools.city.sketch import LABEL_IDS, Camera
from tfrecords_tools.render_demo import (
    RenderDemoConfig,
    render_demo,
    source_frames,
    target_frames,
)

SKY, ROAD, LEAVES = (LABEL_IDS[n] for n in ("sky", "road", "vegetation"))
BLUE = (70, 150, 245)


def config_of(output_dir, source_look):
    return RenderDemoConfig(
        output_dir=str(output_dir),
        num_source=12,
        num_target=1,
        num_val=0,
        image_height=48,
        image_width=96,
        num_workers=0,
        source_look=source_look,
    )


def finish_many(labels, color, count=40):
    """Returns float [count, H, W, 3]: one plain picture on many days."""
    picture = np.full((*labels.shape, 3), color, np.uint8)
    return np.stack(
        [
            daylight.finish(picture, labels, np.random.default_rng(day))
            for day in range(count)
        ]
    ).astype(float)


def sky_over_road(height=48, width=64):
    labels = np.full((height, width), SKY, np.uint8)
    labels[height // 2 :] = ROAD
    return labels


def test_a_look_changes_the_sources_pictures_and_nothing_else(tmp_path):
    for look in ("flat", "textured"):
        render_demo(config_of(tmp_path / look, look))

    def files(look):
        root = tmp_path / look
        found = [*root.rglob("*.png"), *root.rglob("scenes.csv")]
        return {path.relative_to(root): path.read_bytes() for path in found}

    flat, textured = files("flat"), files("textured")
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


def test_skies_pale_towards_the_horizon():
    labels = sky_over_road()
    days = finish_many(labels, BLUE)
    # The redder a blue sky, the paler.
    rows = (days[..., 2] - days[..., 0]).mean(axis=(0, 2))[:24]
    assert rows[:6].mean() > rows[6:12].mean() > rows[14:20].mean()


def test_days_differ_from_blue_to_overcast():
    days = finish_many(sky_over_road(), BLUE)[:, :8]
    blueness = (days[..., 2] - days[..., 0]).mean(axis=(1, 2))
    assert blueness.max() > 80 and blueness.min() < 15


def test_shadows_lie_on_the_ground_and_are_bluer_than_the_sun():
    # Of a plain grey road the darkest tenth lies in shadow on most days.
    road = finish_many(sky_over_road(), (128, 128, 128))[:, 30:]
    light = road.mean(axis=3)
    bounds = np.quantile(light, [0.1, 0.9], axis=(1, 2))[..., None, None]
    ratio = road[..., 2] / road[..., 0]
    assert ratio[light < bounds[0]].mean() > ratio[light > bounds[1]].mean()


def test_ground_coordinates_are_those_of_the_camera():
    height, width = 60, 120
    labels = sky_over_road(height, width)
    x, z, ground = daylight.ground_coordinates(labels)
    assert (ground == (labels == ROAD)).all()
    camera = Camera(width, height, horizon=0.5, heading=0.5)
    points = [(0.0, 0.0, 5.0), (2.0, 0.0, 8.0), (-3.0, 0.0, 12.0)]
    for (right, _, ahead), (column, row) in zip(
        points, camera.project(points), strict=True
    ):
        at = int(row), int(column)
        # A pixel spans some 3 % of these distances.
        assert z[at] == pytest.approx(ahead, rel=0.08)
        assert x[at] == pytest.approx(right, abs=0.2)


@pytest.mark.parametrize("labels", [np.full((32, 33), SKY, np.uint8)])
def test_a_picture_without_ground_is_finished_too(labels):
    assert np.isfinite(finish_many(labels, BLUE, count=3)).all()


def test_a_mix_of_palettes_lies_between_them():
    first, second = palettes.ENGINE_PALETTE, palettes.CAMERA_PALETTE
    assert palettes.mix(first, second, 0) == first
    assert palettes.mix(first, second, 1) == second
    # (70, 150, 245) and (188, 207, 228).
    assert palettes.mix(first, second, 0.5)["sky"] == ((129, 178, 236),)


def test_the_target_is_always_the_cameras(tmp_path):
    looks = {
        frame.look
        for look in ("flat", "textured")
        for frame in target_frames(config_of(tmp_path, look))
    }
    assert looks == {"camera"}


def test_one_frame_is_one_picture(tmp_path):
    frame = source_frames(config_of(tmp_path, "textured"))[0]
    again = dataclasses.replace(frame)
    np.testing.assert_array_equal(
        np.asarray(Image.fromarray(render_frame(frame)[0])),
        render_frame(again)[0],
    )
