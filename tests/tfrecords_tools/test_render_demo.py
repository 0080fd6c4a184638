import csv
import dataclasses
import functools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from PIL import Image

from kliep_tf.data.class_sets import CITYSCAPES_CLASSES
from kliep_tf.errors import UserError
from tfrecords_tools.city import parameters as city
from tfrecords_tools.city.rendering import render_frame, scene_parameters
from tfrecords_tools.render_demo import (
    RenderDemoConfig,
    render_demo,
    source_frames,
    target_frames,
)

SKY, VEGETATION = 23, 21
EVALUATED_IDS = {one.raw_ids[0] for one in CITYSCAPES_CLASSES.classes}


def small_config(output_dir, **changes) -> RenderDemoConfig:
    config = RenderDemoConfig(
        output_dir=str(output_dir),
        num_source=3,
        num_target=2,
        num_val=1,
        image_height=32,
        image_width=64,
        num_workers=0,
    )
    return dataclasses.replace(config, **changes)


def all_frames(config):
    return source_frames(config) + target_frames(config)


def file_bytes(root):
    """All files below `root` but the record of the run, by relative path."""
    return {
        path.relative_to(root): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name not in ("config.json", ".lock")
    }


def read_scenes(tree):
    with open(tree / "scenes.csv", newline="") as file:
        return list(csv.DictReader(file))


def column(scenes, name):
    return np.array([float(row[name]) for row in scenes])


def read_labels(frame):
    with Image.open(frame.label_path) as image:
        return np.asarray(image)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    config = small_config(
        tmp_path_factory.mktemp("demo"),
        num_source=100,
        num_target=60,
        num_val=3,
    )
    render_demo(config)
    return config


@pytest.fixture
def demo_root(demo):
    return Path(demo.output_dir)


def test_trees_have_the_layout_of_the_originals(demo_root):
    for name in (
        "gta5/images/00001.png",
        "gta5/labels/00100.png",
        "gta5/split.mat",
        "cityscapes/leftImg8bit/train/demoburg/"
        "demoburg_000000_000019_leftImg8bit.png",
        "cityscapes/gtFine/train/demostadt/"
        "demostadt_000029_000019_gtFine_labelIds.png",
        "cityscapes/gtFine/val/demohafen/"
        "demohafen_000002_000019_gtFine_labelIds.png",
    ):
        assert (demo_root / name).is_file(), name


def test_images_are_rgb_and_labels_have_their_size(demo):
    for frame in all_frames(demo):
        mode = "P" if frame.domain == city.SOURCE else "L"
        with (
            Image.open(frame.image_path) as image,
            Image.open(frame.label_path) as label,
        ):
            assert (image.mode, image.size) == ("RGB", (64, 32))
            assert (label.mode, label.size) == (mode, (64, 32))


def test_all_classes_occur_and_nothing_but_label_ids(demo):
    for frames in (source_frames(demo), target_frames(demo)):
        found = {i for frame in frames for i in np.unique(read_labels(frame))}
        # 4 is "static": a litter bin, which the train ids ignore.
        assert found == EVALUATED_IDS | {4}


def test_palette_shows_the_class_colors(demo):
    frame = source_frames(demo)[0]
    with Image.open(frame.label_path) as label:
        shown = np.asarray(label.convert("RGB"))
    labels = read_labels(frame)
    for one in CITYSCAPES_CLASSES.classes:
        assert (shown[labels == one.raw_ids[0]] == one.color).all()


def test_labels_lie_where_the_picture_shows_the_class(demo):
    # Away from its edges the engine's sky is blue: red < green < blue.
    checked = 0
    for frame in source_frames(demo)[:20]:
        picture, labels = render_frame(frame)
        sky = labels == SKY
        inside = sky[1:-1, 1:-1].copy()
        for row in range(3):
            for col in range(3):
                inside &= sky[row : row + 30, col : col + 62]
        red, green, blue = picture[1:-1, 1:-1][inside].T.astype(int)
        assert (red < green).all() and (green < blue).all()
        checked += inside.sum()
    assert checked > 1000


def test_scenes_name_every_frame_and_its_pixel_shares(demo, demo_root):
    for tree, frames in (
        ("gta5", source_frames(demo)),
        ("cityscapes", target_frames(demo)),
    ):
        scenes = read_scenes(demo_root / tree)
        assert [row["filename"] for row in scenes] == [f.stem for f in frames]
        for row, frame in zip(scenes, frames, strict=True):
            labels = read_labels(frame)
            assert float(row["sky_share"]) == np.mean(labels == SKY)
            assert float(row["vegetation_share"]) == np.mean(
                labels == VEGETATION
            )


def test_scenes_hold_the_true_density_ratio(demo, demo_root):
    # The tilts are opposite in the two domains, so the normalisers cancel at
    # the middle of the unit cube: log w = sum (k_target - k_source) (x - 1/2).
    for row in read_scenes(demo_root / "gta5"):
        expected = sum(
            (city.TILTS[city.TARGET][name] - city.TILTS[city.SOURCE][name])
            * (float(row[name]) - 0.5)
            for name in city.PARAMETER_NAMES
        )
        assert float(row["log_density_ratio"]) == pytest.approx(expected)
        assert float(row["density_ratio"]) == pytest.approx(np.exp(expected))
        assert float(row["inverse_density_ratio"]) == pytest.approx(
            np.exp(-expected)
        )


def test_target_has_less_sky_and_more_vegetation(demo_root):
    source = read_scenes(demo_root / "gta5")
    target = read_scenes(demo_root / "cityscapes")
    sky = [column(scenes, "sky_share").mean() for scenes in (source, target)]
    assert sky[0] > 0.2 and sky[1] < 0.14
    green = [
        column(scenes, "vegetation_share").mean() for scenes in (source, target)
    ]
    assert green[1] > green[0] + 0.04


def test_true_weights_give_the_source_the_sky_of_the_target(demo_root):
    source = read_scenes(demo_root / "gta5")
    target = read_scenes(demo_root / "cityscapes")
    weights = column(source, "density_ratio")
    weighted = np.average(column(source, "sky_share"), weights=weights)
    # Unweighted they are 0.15 apart.
    assert abs(weighted - column(target, "sky_share").mean()) < 0.04


@functools.cache
def draw(domain, count):
    generator = np.random.default_rng(0)
    return [city.sample_parameters(domain, generator) for _ in range(count)]


def test_density_ratio_carries_source_parameters_to_the_target():
    source, target = draw(city.SOURCE, 15_000), draw(city.TARGET, 15_000)
    weights = np.exp([city.log_density_ratio(p) for p in source])
    assert weights.mean() == pytest.approx(1, abs=0.05)
    for name in city.PARAMETER_NAMES:
        weighted = np.mean(weights * [getattr(p, name) for p in source])
        expected = np.mean([getattr(p, name) for p in target])
        assert weighted == pytest.approx(expected, abs=0.03)


def test_density_ratio_spares_a_fifth_of_the_source():
    weights = np.exp(
        [city.log_density_ratio(p) for p in draw(city.SOURCE, 15_000)]
    )
    share = weights.sum() ** 2 / (weights**2).sum() / len(weights)
    assert 0.18 < share < 0.24


def test_sampled_parameters_follow_their_density():
    # Over [0, 1] with k = 2 the mean is 1 / (1 - exp(-2)) - 1 / 2 = 0.6565.
    opennesses = [p.openness for p in draw(city.SOURCE, 15_000)]
    assert np.mean(opennesses) == pytest.approx(0.6565, abs=0.01)
    assert min(opennesses) >= 0 and max(opennesses) <= 1


def test_split_mat_names_every_frame_once(demo_root):
    split = scipy.io.loadmat(demo_root / "gta5" / "split.mat")
    columns = [split[key] for key in ("trainIds", "valIds", "testIds")]
    assert [c.shape for c in columns] == [(90, 1), (5, 1), (5, 1)]
    assert sorted(np.concatenate(columns)[:, 0]) == list(range(1, 101))
    for row in read_scenes(demo_root / "gta5"):
        assert int(row["filename"]) in split[f"{row['split']}Ids"]


def test_files_do_not_depend_on_workers(tmp_path):
    render_demo(small_config(tmp_path / "one"))
    render_demo(small_config(tmp_path / "two", num_workers=2))
    assert file_bytes(tmp_path / "one") == file_bytes(tmp_path / "two")


def test_a_frame_does_not_depend_on_how_many_there_are(tmp_path):
    render_demo(small_config(tmp_path / "few"))
    render_demo(
        small_config(tmp_path / "more", num_source=4, num_target=3, num_val=2)
    )
    few, more = file_bytes(tmp_path / "few"), file_bytes(tmp_path / "more")
    pictures = [path for path in few if path.suffix == ".png"]
    assert len(pictures) == 2 * (3 + 2 + 1)
    assert all(few[path] == more[path] for path in pictures)


def test_a_street_does_not_depend_on_the_size_of_its_picture(tmp_path):
    small = small_config(tmp_path)
    large = small_config(tmp_path, image_height=64, image_width=128)
    for one, other in zip(all_frames(small), all_frames(large), strict=True):
        assert scene_parameters(one) == scene_parameters(other)
        labels, larger = render_frame(one)[1], render_frame(other)[1]
        # The same scene up to what falls between the coarser pixels.
        assert np.mean(labels == larger[::2, ::2]) > 0.85


def test_another_seed_gives_other_streets(tmp_path):
    config = small_config(tmp_path)
    frames = all_frames(config)
    others = all_frames(small_config(tmp_path, seed=1))
    parameters = {scene_parameters(frame) for frame in frames + others}
    assert len(parameters) == 2 * len(frames)


def test_deleted_files_come_back_identical(tmp_path, capsys):
    config = small_config(tmp_path)
    render_demo(config)
    before = file_bytes(tmp_path)
    source, target = source_frames(config), target_frames(config)
    source[1].image_path.unlink()
    target[0].label_path.unlink()
    (tmp_path / "gta5" / "scenes.csv").unlink()
    (tmp_path / "gta5" / "split.mat").unlink()
    render_demo(config)
    assert file_bytes(tmp_path) == before
    assert "already done" not in capsys.readouterr().out


def test_finished_work_is_left_alone(tmp_path, capsys):
    config = small_config(tmp_path)
    render_demo(config)
    image = source_frames(config)[0].image_path
    written = image.stat().st_mtime_ns
    render_demo(config)
    assert "already done" in capsys.readouterr().out
    assert image.stat().st_mtime_ns == written


def test_somebody_elses_directory_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("...")
    with pytest.raises(UserError, match=r"thesis\.tex"):
        render_demo(small_config(tmp_path))
    assert [path.name for path in tmp_path.glob("[!.]*")] == ["thesis.tex"]


@pytest.mark.parametrize("height, width", [(33, 71), (64, 47), (32, 32)])
def test_any_size_from_32_pixels(tmp_path, height, width):
    config = small_config(tmp_path, image_height=height, image_width=width)
    for frame in all_frames(config):
        picture, labels = render_frame(frame)
        assert picture.shape == (height, width, 3)
        assert labels.shape == (height, width)
        assert set(np.unique(labels)) <= EVALUATED_IDS | {4}


@pytest.mark.parametrize(
    "name, value",
    [
        ("image_height", 31),
        ("image_width", 0),
        ("num_source", 0),
        ("num_val", -1),
        ("seed", -1),
    ],
)
def test_an_unusable_number_is_named(tmp_path, name, value):
    with pytest.raises(UserError, match=f"--{name}: expected .* {value}"):
        render_demo(small_config(tmp_path, **{name: value}))
    assert not list(tmp_path.iterdir())


def test_drawing_needs_no_tensorflow():
    program = (
        "import sys, tfrecords_tools.render_demo; "
        "sys.exit('tensorflow' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
