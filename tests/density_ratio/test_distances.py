import numpy as np
import pytest
import scipy.special

from kliep_tf.density_ratio import distances as distances_module
from kliep_tf.density_ratio import exponents
from kliep_tf.density_ratio.samples import measure, median_distance


def squared_distances_by_hand(points, centers):
    return np.sum((points[:, None] - centers[None]) ** 2, axis=2)


def measured(points):
    """Returns the sample and its coordinates."""
    samples = measure(points, points)
    return samples.target, samples.coordinates


@pytest.mark.parametrize(
    "dtype, error", [(np.float32, 1e-5), (np.float64, 1e-12)]
)
@pytest.mark.parametrize("num_points", [1, 300, 20_000])
@pytest.mark.parametrize("offset", [0, 5])
def test_sums_are_those_of_the_kernel(num_points, offset, dtype, error):
    rng = np.random.default_rng(0)
    points, centers = (
        (rng.normal(size=(size, 4)) + offset).astype(dtype)
        for size in (num_points, 7)
    )
    sample, coordinates = measured(points)
    in_place = offset == 0 and num_points > 1
    assert coordinates.keeps_in_place(points, dtype) == in_place
    bandwidth = 1.3
    kernel = np.exp(
        -squared_distances_by_hand(points, centers) / (2 * bandwidth**2)
    )
    distances = distances_module.SquaredDistances(
        sample, centers, coordinates, dtype
    )
    inverse_width = coordinates.inverse_width(bandwidth)
    over_rows = distances.log_sums_over_points(
        np.zeros(num_points), inverse_width
    )
    np.testing.assert_allclose(
        over_rows[:7], np.log(kernel.sum(axis=0)), atol=10 * error
    )
    weights = np.full(distances.width, -np.inf)
    weights[:7] = 0
    np.testing.assert_allclose(
        distances.log_sums_over_centers(weights, inverse_width),
        np.log(kernel.sum(axis=1)),
        atol=10 * error,
    )


def test_blocks_overlap_rather_than_to_be_padded(monkeypatch):
    monkeypatch.setattr(exponents, "BLOCK_ENTRIES", 256 * 128)
    rng = np.random.default_rng(0)
    points = rng.normal(size=(1000, 3))
    sample, coordinates = measured(points)
    distances = distances_module.SquaredDistances(
        sample, points[:5], coordinates, np.float64, keep=False
    )
    assert [(a, b) for a, b, _ in distances.blocks()] == [
        (0, 256),
        (256, 512),
        (512, 744),
        (744, 1000),
    ]
    by_hand = squared_distances_by_hand(points, points[:5]).T
    np.testing.assert_allclose(
        distances.whole().numpy()[:5, :1000] * coordinates.scale**2,
        by_hand,
        atol=1e-12,
    )


@pytest.mark.parametrize("bandwidth", [1.0, 0.05])
def test_means_over_parts_are_those_of_the_kernel(bandwidth):
    rng = np.random.default_rng(0)
    points = rng.normal(size=(90, 2))
    centers = points[:4]
    sample, coordinates = measured(points)
    # Without the centers themselves, all else is far at the narrow width.
    parts = np.stack([np.arange(90) >= 0, np.arange(90) >= 10])
    distances = distances_module.SquaredDistances(
        sample, centers, coordinates, np.float64
    ).as_one_block()
    logs = -squared_distances_by_hand(points, centers) / (2 * bandwidth**2)
    np.testing.assert_allclose(
        distances.log_means_of_parts(
            parts, coordinates.inverse_width(bandwidth)
        )[:, :4],
        [
            scipy.special.logsumexp(logs[part], axis=0) - np.log(part.sum())
            for part in parts
        ],
        atol=1e-5,
    )


def test_padding_is_the_constant_function():
    points = np.zeros((3, 2)) + 1
    sample, coordinates = measured(points)
    distances = distances_module.SquaredDistances(
        sample, points[:1] + 1, coordinates, np.float32
    )
    assert distances.whole().numpy()[1:, :3].max() == 0


def test_blocks_and_the_whole_agree(monkeypatch):
    rng = np.random.default_rng(0)
    points, centers = rng.normal(size=(1000, 3)), rng.normal(size=(5, 3))
    sample, coordinates = measured(points)
    arguments = (sample, centers, coordinates, np.float64)
    whole = distances_module.SquaredDistances(*arguments)
    monkeypatch.setattr(exponents, "BLOCK_ENTRIES", 256 * 128)
    blocks = distances_module.SquaredDistances(*arguments, keep=False)
    assert len(list(blocks.blocks())) == 4
    np.testing.assert_allclose(
        blocks.log_sums_over_points(np.zeros(1000), 2.0),
        whole.log_sums_over_points(np.zeros(1000), 2.0),
        rtol=1e-12,
    )
    np.testing.assert_allclose(
        blocks.whole().numpy()[:, :1000],
        whole.whole().numpy()[:, :1000],
        atol=1e-15,
    )
    joined = blocks.as_one_block()
    assert len(list(joined.blocks())) == 1
    np.testing.assert_allclose(
        joined.log_sums_over_points(np.zeros(1000), 2.0),
        whole.log_sums_over_points(np.zeros(1000), 2.0),
        rtol=1e-12,
    )


def test_median_distance_by_hand():
    # Distances 1, 2, 3 (each twice, and zeros on the diagonal).
    target = np.array([[0.0], [1.0], [3.0]])
    assert median_distance(measure(target, target)) == pytest.approx(2.0)


def test_median_distance_where_targets_coincide():
    target = np.ones((4, 1))
    source = np.array([[4.0], [5.0], [6.0]])
    assert median_distance(measure(source, target)) == pytest.approx(4.0)
    assert median_distance(measure(target, target)) == 1.0


@pytest.mark.parametrize("size", [1, 256, 257, 3000, 24_966, 1_000_000])
def test_padded_size_is_little_more(size):
    padded = exponents.padded_size(size)
    assert size <= padded <= max(256, 1.125 * size + 256)


def test_precision_follows_the_width():
    _, coordinates = measured(np.array([[-1.0], [1.0]]))
    assert coordinates.dtype_for(1.0) == np.float32
    assert coordinates.dtype_for(1e-3) == np.float64


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "spread, offset", [(1, 0), (1, 1e3), (1, 1e6), (1e-3, 1), (1e30, 0)]
)
def test_the_unit_is_the_largest_distance(spread, offset, dtype):
    rng = np.random.default_rng(0)
    source, target = (
        (spread * rng.normal(size=(size, 3)) + offset).astype(dtype)
        for size in (300, 200)
    )
    coordinates = measure(source, target).coordinates
    points = np.concatenate([source, target]).astype(np.float64)
    distances = np.sqrt(np.sum((points - coordinates.origin) ** 2, axis=1))
    assert coordinates.scale == pytest.approx(distances.max(), rel=1e-5)
