"""One frame of the city: drawn, written as PNG, and described by a row.

A frame depends on the seed, its split and its index alone, so any number of
workers, in any order, and an interrupted run continued, give the same files.
Runs in worker processes, so nothing here may import TensorFlow.
"""

import dataclasses
import io
import math
from pathlib import Path

import numpy as np
from PIL import Image

from kliep_tf import runs
from kliep_tf.data.class_sets import CITYSCAPES_CLASSES
from kliep_tf.data.png import encode_png
from tfrecords_tools.city import looks
from tfrecords_tools.city.parameters import (
    SOURCE,
    SceneParameters,
    log_density_ratio,
    sample_parameters,
)
from tfrecords_tools.city.scene import SUPERSAMPLING, compose_scene, paint
from tfrecords_tools.city.sketch import LABEL_IDS

# Part of every frame's seed: another number means other streets.
_STREAMS = {"source": 0, "train": 1, "val": 2}

MIN_SIDE = 32


@dataclasses.dataclass(frozen=True)
class CityFrame:
    """One frame to be drawn.

    Attributes:
        stem: its name in the dataset, which becomes image/filename.
        domain: SOURCE or TARGET.
        look: a key of looks.LOOKS.
        stream: which sequence of streets it belongs to: "source" or, of the
            target, "train" or "val".
        index: its position in that sequence, from 0.
        seed: of the whole city.
        height: in pixels.
        width: in pixels.
        image_path: where the picture goes.
        label_path: where the label ids go.
    """

    stem: str
    domain: str
    look: str
    stream: str
    index: int
    seed: int
    height: int
    width: int
    image_path: Path
    label_path: Path

    def exists(self) -> bool:
        """Returns whether both files are there."""
        return self.image_path.exists() and self.label_path.exists()


def write_frame(frame: CityFrame) -> dict[str, float | str]:
    """Draws a frame unless its files are there; returns its row.

    The row's keys: filename, the scene parameters' names, sky_share and
    vegetation_share (of the label's pixels), log_density_ratio (natural
    logarithm of p_target / p_source at the frame's parameters), density_ratio
    (its exponential: the true w), and inverse_density_ratio (the true psi).
    """
    if frame.exists():
        with Image.open(frame.label_path) as label_file:
            labels = np.asarray(label_file)
    else:
        picture, labels = render_frame(frame)
        runs.write_atomically(frame.image_path, _png(Image.fromarray(picture)))
        encoded = (
            encode_png(labels, CITYSCAPES_CLASSES.palette())
            if frame.domain == SOURCE
            else _png(Image.fromarray(labels))
        )
        runs.write_atomically(frame.label_path, encoded)
    return _row(frame, labels)


def render_frame(frame: CityFrame) -> tuple[np.ndarray, np.ndarray]:
    """Returns the picture, uint8 [H, W, 3], and its label ids, uint8 [H, W]."""
    _, layout_generator, look_generator = _generators(frame)
    sketch = compose_scene(
        scene_parameters(frame),
        layout_generator,
        SUPERSAMPLING * frame.width,
        SUPERSAMPLING * frame.height,
    )
    look = looks.LOOKS[frame.look]
    picture, labels = paint(
        sketch.shapes(), look.color, frame.width, frame.height
    )
    camera = dataclasses.replace(
        sketch.camera, width=frame.width, height=frame.height
    )
    return look.finish(picture, labels, camera, look_generator), labels


def scene_parameters(frame: CityFrame) -> SceneParameters:
    """Returns the parameters of a frame's street without drawing it."""
    return sample_parameters(frame.domain, _generators(frame)[0])


def _generators(frame: CityFrame) -> list[np.random.Generator]:
    """Random numbers for the parameters, the layout and the look."""
    sequence = np.random.SeedSequence(
        [frame.seed, _STREAMS[frame.stream], frame.index]
    )
    return [np.random.default_rng(child) for child in sequence.spawn(3)]


def _row(frame: CityFrame, labels: np.ndarray) -> dict[str, float | str]:
    parameters = scene_parameters(frame)
    log_ratio = log_density_ratio(parameters)
    return {
        "filename": frame.stem,
        **dataclasses.asdict(parameters),
        "sky_share": float(np.mean(labels == LABEL_IDS["sky"])),
        "vegetation_share": float(np.mean(labels == LABEL_IDS["vegetation"])),
        "log_density_ratio": log_ratio,
        "density_ratio": math.exp(log_ratio),
        "inverse_density_ratio": math.exp(-log_ratio),
    }


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()
