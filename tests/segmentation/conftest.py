"""Drawn streets, small enough to train on within a test."""

import io
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kliep_tf.data import records
from kliep_tf.segmentation.networks import NETWORKS
from kliep_tf.train_segmenter import train_segmenter
from tests.conftest import make_once
from tests.segmentation import small_network
from tests.segmentation.small_network import run_config

ROAD, BUILDING, VEGETATION, SKY, CAR = 0, 2, 8, 10, 13
COLORS = {
    ROAD: (90, 90, 95),
    BUILDING: (150, 100, 80),
    VEGETATION: (60, 120, 50),
    SKY: (140, 180, 230),
    CAR: (170, 30, 40),
}


def _draw_street(
    seed: int, height: int = 32, width: int = 64
) -> tuple[np.ndarray, np.ndarray]:
    """Returns an image uint8 [H, W, 3] and its labels uint8 [H, W]."""
    rng = np.random.default_rng(seed)
    label = np.full((height, width), SKY, np.uint8)
    for _ in range(3):
        left = rng.integers(0, width * 3 // 4)
        top = rng.integers(height // 8, height // 2)
        kind = rng.choice([BUILDING, VEGETATION])
        label[top:, left : left + width // 4] = kind
    label[height * 5 // 8 :] = ROAD
    left = rng.integers(0, width * 3 // 4)
    label[height * 5 // 8 : height * 7 // 8, left : left + width // 5] = CAR
    colors = np.zeros((256, 3))
    for train_id, color in COLORS.items():
        colors[train_id] = color
    image = colors[label] + rng.normal(0, 12, (height, width, 3))
    return np.clip(image, 0, 255).astype(np.uint8), label


def _png(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def _write_records(directory: Path, frames, labelled: bool = True) -> Path:
    """Writes (image, label) frames to one shard; returns the directory."""
    directory.mkdir(parents=True, exist_ok=True)
    records.write_shard(
        directory / records.shard_name("train", 0, 1),
        [
            records.encode_example(
                _png(image),
                filename=f"frame_{number:03d}",
                height=image.shape[0],
                width=image.shape[1],
                label=_png(label) if labelled else None,
            )
            for number, (image, label) in enumerate(frames)
        ],
    )
    return directory


@pytest.fixture(scope="session", autouse=True)
def small_networks():
    """Lets `--network` take the small networks of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name, network in small_network.NETWORKS.items():
            patch.setitem(NETWORKS, name, network)
        yield


@pytest.fixture(scope="session")
def draw_street():
    """The function that draws one street."""
    return _draw_street


@pytest.fixture(scope="session")
def write_records():
    """The function that writes frames to records."""
    return _write_records


@pytest.fixture(scope="session")
def street_records(shared_root) -> Path:
    """24 labelled streets of 32x64."""
    return make_once(
        shared_root / "streets",
        lambda directory: _write_records(
            directory, [_draw_street(seed) for seed in range(24)]
        ),
    )


@pytest.fixture(scope="session")
def segmenter_run(shared_root, street_records) -> Path:
    """A run of train_segmenter of four steps, which nothing disturbed."""
    return make_once(
        shared_root / "segmenter_run",
        lambda directory: train_segmenter(
            run_config(street_records, directory)
        ),
    )


@pytest.fixture(scope="session")
def red_is_the_class(tmp_path_factory):
    """A segmenter that reads the train id off the red channel."""
    module = tf.Module()
    module.serve = tf.function(
        lambda images: tf.cast(images[..., 0], tf.int32),
        [tf.TensorSpec([None, None, None, 3], tf.uint8)],
    )
    path = tmp_path_factory.mktemp("segmenter") / "model"
    tf.saved_model.save(module, str(path), module.serve)
    return path
