"""Signs, seen without a label, that predicted features cannot be trusted.

A segmenter that meets a domain unlike the one it learned from does not say so:
its class shares are wrong, and KLIEP matches what is wrong. But its answers
become unsteady: they change where an image is mirrored, which changes nothing
of what it shows, and they lie where the source has none. These two signs have
limits, found on pairs of domains of which the truth is known
(docs/results/features_photographs.md); others are shown and decide nothing.
"""

import dataclasses
import json
import os
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf
from scipy.spatial import KDTree

from kliep_tf import runs
from kliep_tf.data import images, records
from kliep_tf.data.reading import read_all
from kliep_tf.density_ratio.extraction import (
    Example,
    ExtractionSettings,
    decode_resized,
)
from kliep_tf.json_files import Maybe, read_json

# Images of each domain that are looked at.
MOST_IMAGES = 200

_SMALLER = 0.75
_MULTIPLE = 8  # of the smaller sizes
_COLOR_STRENGTH = 0.5
# Farther than this share of the source's images have their nearest neighbour.
_USUAL = 0.95


@dataclasses.dataclass(frozen=True)
class Sign:
    """One measure of how unsteady or unusual the predictions are.

    Attributes:
        name: what is measured, for people.
        source: on the domain that the segmenter learned from.
        target: on the domain that it is asked about.
        limit: from where on the target's value is a sign of doubt, or None
            where it is shown and decides nothing.
    """

    name: str
    source: float
    target: float
    limit: float | None = None

    @property
    def raised(self) -> bool:
        """Whether the target's value is beyond the limit."""
        return self.limit is not None and self.target > self.limit

    def __str__(self) -> str:
        """Returns the values with their limit, such as "4.3 % (limit 3 %)"."""
        limit = "" if self.limit is None else f", limit {100 * self.limit:g} %"
        return (
            f"{self.name}: {100 * self.target:.1f} %, where it was trained "
            f"{100 * self.source:.1f} %{limit}"
        )


@dataclasses.dataclass(frozen=True)
class Behaviour:
    """How a segmenter behaves on one domain.

    Attributes:
        shares: [N, C], its class shares.
        mirrored: by how much they change where images are mirrored, the mean
            total variation.
        smaller: the same where images are three quarters as large.
        recolored: the same under other colours.
        confidence: mean probability of the most probable class.
    """

    shares: np.ndarray
    mirrored: float
    smaller: float
    recolored: float
    confidence: float


def observe(
    segmenter: Callable[[tf.Tensor], tf.Tensor],
    examples: tf.data.Dataset,
    num_examples: int,
    settings: ExtractionSettings,
) -> Behaviour:
    """Returns how a segmenter behaves on images, 200 of them at most.

    Args:
        segmenter: uint8 [N, H, W, 3] to probabilities [N, H, W, C].
        examples: parsed, as `reading.make_example_dataset` yields them.
        num_examples: their number; the images are taken from all of them.
        settings: the size of the images, and the flag for messages.
    """
    step = -(-num_examples // MOST_IMAGES)

    @records.unconverted
    def load(example: Example) -> tf.Tensor:
        return decode_resized(example, settings.image_size)

    dataset = examples.shard(step, 0).map(load, tf.data.AUTOTUNE)
    dataset = dataset.batch(settings.batch_size).prefetch(2)
    found: dict[str, list[np.ndarray]] = {}
    for number, batch in enumerate(
        read_all(dataset, settings.flag, settings.paths)
    ):
        for name, values in _behaviour(segmenter, batch, number).items():
            found.setdefault(name, []).append(values)
    joined = {name: np.concatenate(parts) for name, parts in found.items()}
    shares = joined.pop("shares")
    means = {name: float(values.mean()) for name, values in joined.items()}
    return Behaviour(shares, **means)


def compare(source: Behaviour, target: Behaviour) -> tuple[Sign, ...]:
    """Returns the signs, those with a limit first.

    Args:
        source: on the domain that the segmenter learned from.
        target: on the domain whose features it predicts.
    """
    return (
        Sign(
            "change of class shares under mirroring",
            source.mirrored,
            target.mirrored,
            LIMITS["mirrored"],
        ),
        Sign(
            "images unlike any of the source",
            1.0 - _USUAL,
            share_outside(source.shares, target.shares),
            LIMITS["outside"],
        ),
        Sign(
            "change at three quarters of the size",
            source.smaller,
            target.smaller,
        ),
        Sign(
            "change under other colours",
            source.recolored,
            target.recolored,
        ),
        Sign("confidence", source.confidence, target.confidence),
    )


# Of the target's values; see the module's docstring.
LIMITS: Mapping[str, float] = {"mirrored": 0.03, "outside": 0.2}


def doubts(signs: Sequence[Sign]) -> tuple[Sign, ...]:
    """Returns the signs that are raised."""
    return tuple(sign for sign in signs if sign.raised)


def save_signs(path: str | os.PathLike, signs: Sequence[Sign]) -> None:
    """Writes the signs to a JSON file, atomically."""
    values = [dataclasses.asdict(sign) for sign in signs]
    runs.write_atomically(path, json.dumps(values, indent=1) + "\n")


def read_signs(path: str | os.PathLike) -> tuple[Sign, ...]:
    """Returns the signs of a JSON file.

    Raises:
        FileNotFoundError: there is none.
        DataError: it holds something else.
    """
    schema = {
        "name": str,
        "source": float,
        "target": float,
        "limit": Maybe(float),
    }
    found = read_json(path, "signs of doubt", [schema], allow_nan=True)
    return tuple(
        Sign(**{name: sign.get(name) for name in schema}) for sign in found
    )


def share_outside(source: np.ndarray, target: np.ndarray) -> float:
    """Returns the share of target features that the source has nothing like.

    Such are farther from their nearest source features than 95 % of the
    source's are from each other's nearest.

    Args:
        source: features [N_s, d], two at least.
        target: features [N_t, d].
    """
    tree = KDTree(source)
    own = tree.query(source, k=2)[0][:, 1]
    distances = tree.query(target)[0]
    return float(np.mean(distances > np.quantile(own, _USUAL)))


def _behaviour(
    segmenter: Callable[[tf.Tensor], tf.Tensor], pixels: np.ndarray, seed: int
) -> dict[str, np.ndarray]:
    """Returns the fields of Behaviour for uint8 pixels [B, H, W, 3]."""

    batch = tf.constant(pixels)
    probabilities = segmenter(batch)
    plain = tf.reduce_mean(probabilities, [1, 2]).numpy()

    def change(changed: tf.Tensor) -> np.ndarray:
        shares = tf.reduce_mean(segmenter(changed), [1, 2]).numpy()
        return 0.5 * np.abs(shares - plain).sum(axis=1)

    confidence = tf.reduce_mean(tf.reduce_max(probabilities, -1), [1, 2])
    return {
        "shares": plain,
        "mirrored": change(tf.reverse(batch, [2])),
        "smaller": change(images.resize_image(batch, _smaller(batch))),
        "recolored": change(_recolor(batch, seed)),
        "confidence": confidence.numpy(),
    }


def _smaller(batch: tf.Tensor) -> tuple[int, int]:
    height, width = (
        max(1, round(_SMALLER * length / _MULTIPLE)) * _MULTIPLE
        for length in batch.shape[1:3]
    )
    return height, width


def _recolor(batch: tf.Tensor, seed: int) -> tf.Tensor:
    return tf.stack(
        [
            images.random_colors(image, _COLOR_STRENGTH, tf.constant([seed, i]))
            for i, image in enumerate(tf.unstack(batch))
        ]
    )
