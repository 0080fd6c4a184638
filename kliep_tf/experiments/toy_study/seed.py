"""One seed of the toy: draw, weigh, train the GANs side by side, measure."""

import functools
import time
from typing import Any

import numpy as np

from kliep_tf.experiments.toy_study import distances
from kliep_tf.experiments.toy_study.data import Samples, draw_samples
from kliep_tf.experiments.toy_study.gan import (
    GanSettings,
    generate,
    train_gans,
)
from kliep_tf.experiments.toy_study.weights import (
    ToyWeights,
    WeightSettings,
    estimate_weights,
    typical_distance,
)

# Of the plot; what lies outside is counted in the first or the last bin.
BIN_EDGES = np.linspace(-2.0, 14.0, 129)


def run_seed(
    seed: int,
    shape: tuple[int, int],
    reading: str,
    gan: GanSettings,
    weighting: WeightSettings,
    widths: tuple[float | None, ...] = (None,),
) -> dict[str, Any]:
    """Trains the vanilla GAN and one KLIEP GAN per width; returns numbers.

    Args:
        seed: of samples, initial parameters and the draws of KLIEP.
        shape: number of vectors and of features.
        reading: "vectors" or "scalars".
        gan: settings that all GANs share.
        weighting: settings of KLIEP.
        widths: of the kernel, times the median distance between target
            vectors; None for the width that cross-validation selects.

    Returns:
        `source`, `vanilla`: measures of the plain values. `kliep`, one a
        width: `plain` measures of the GAN's values, `weighted` of the same
        under w, `weighted_source` of the source under w, `weights` the summary
        of w. `histograms`: shares in BIN_EDGES. `losses` of the last epoch.
        `seconds` and `cpu_seconds`: of estimating weights and of training.
    """
    samples = _draw(seed, shape)
    target = distances.distribution(samples.target)
    clock = _Clock()
    weights = [_weights(seed, shape, reading, weighting, w) for w in widths]
    clock.stop("weights")
    vanilla = np.ones_like(weights[0].values)
    gans = train_gans(
        samples,
        np.stack([vanilla, *(each.values for each in weights)]),
        reading,
        gan,
        seed,
    )
    clock.stop("training")
    images = generate(gans, samples.source, reading)
    return {
        "seed": seed,
        "source": distances.measure(samples.source, target)._asdict(),
        "vanilla": distances.measure(images[0], target)._asdict(),
        "kliep": [
            _measured(samples, image, each, width, target)
            for image, each, width in zip(
                images[1:], weights, widths, strict=True
            )
        ],
        "histograms": _histograms(samples, images, weights[0].values),
        "losses": gans.losses.tolist(),
        "seconds": clock.wall,
        "cpu_seconds": clock.cpu,
    }


class _Clock:
    """Wall and CPU seconds of one part after the other."""

    def __init__(self) -> None:
        self.wall: dict[str, float] = {}
        self.cpu: dict[str, float] = {}
        self._last = (time.perf_counter(), time.process_time())

    def stop(self, part: str) -> None:
        now = (time.perf_counter(), time.process_time())
        self.wall[part] = round(now[0] - self._last[0], 3)
        self.cpu[part] = round(now[1] - self._last[1], 3)
        self._last = now


# A sweep uses the samples and weights of a seed several times.
@functools.lru_cache(maxsize=2)
def _draw(seed: int, shape: tuple[int, int]) -> Samples:
    return draw_samples(seed, *shape)


@functools.lru_cache(maxsize=8)
def _weights(
    seed: int,
    shape: tuple[int, int],
    reading: str,
    settings: WeightSettings,
    width: float | None,
) -> ToyWeights:
    samples = _draw(seed, shape)
    if width is not None:
        width *= typical_distance(samples)
    return estimate_weights(samples, reading, settings, seed, width)


def _measured(
    samples: Samples,
    image: np.ndarray,
    weights: ToyWeights,
    width: float | None,
    target: distances.Distribution,
) -> dict[str, Any]:
    every = np.broadcast_to(weights.values, image.shape)
    measure = functools.partial(distances.measure, target=target)
    return {
        "width": width,
        "weights": weights.summary,
        "weighted_source": measure(samples.source, weights=every)._asdict(),
        "plain": measure(image)._asdict(),
        "weighted": measure(image, weights=every)._asdict(),
    }


def _histograms(
    samples: Samples, images: np.ndarray, weights: np.ndarray
) -> dict[str, list[float]]:
    """Returns each distribution's share in every bin."""
    every = np.broadcast_to(weights, samples.source.shape)
    shown = {
        "source": (samples.source, None),
        "target": (samples.target, None),
        "vanilla": (images[0], None),
        "kliep": (images[1], None),
        "kliep_weighted": (images[1], every),
    }
    return {name: _shares(*each) for name, each in shown.items()}


def _shares(values: np.ndarray, weights: np.ndarray | None) -> list[float]:
    inside = np.clip(values, BIN_EDGES[0], BIN_EDGES[-1]).ravel()
    own = None if weights is None else weights.ravel()
    counts, _ = np.histogram(inside, BIN_EDGES, weights=own)
    # A training that diverged leaves nothing to count.
    return np.round(counts / max(counts.sum(), 1e-9), 7).tolist()
