"""The problems that benchmarks/kliep.py solves, and how answers are judged."""

import numpy as np

# N_s, N_t, d, and the dimension in which the two samples differ.
CASES = {
    "large": (10_000, 10_000, 300, 10),
    "gta": (24_966, 2_975, 512, 10),
    "small": (2_000, 2_000, 10, 10),
}
NUM_CENTERS = 100
_WIDTH = 0.7  # of the fixed fits, times the median distance
_NOISE = 0.1


class Problem:
    """Two samples whose true density ratio is known.

    Features are a random map of a few latent coordinates, and noise. The
    latents are N(0, I) and N(mu, I), |mu| = 1.

    Attributes:
        source: [N_s, d] float32.
        target: [N_t, d] float32.
        log_true: [N_s], log of the true ratio over the source.
        centers: [100, d], the target points that adapt draws with seed 0.
        bandwidth: of the fits at a fixed width.
        grid: [10] candidates for selection.
    """

    def __init__(self, case: str):
        from kliep_tf.density_ratio.samples import measure, median_distance
        from kliep_tf.density_ratio.selection import GRID

        num_source, num_target, dim, latent = CASES[case]
        rng = np.random.default_rng(0)
        mixing = rng.normal(size=(latent, dim)) / np.sqrt(dim)
        mu = np.full(latent, 1 / np.sqrt(latent))

        def sample(size, mean):
            features = (rng.normal(size=(size, latent)) + mean) @ mixing
            features += _NOISE * rng.normal(size=(size, dim)) / np.sqrt(dim)
            return features.astype(np.float32)

        self.source = sample(num_source, 0.0)
        self.target = sample(num_target, mu)
        covariance = mixing.T @ mixing + _NOISE**2 / dim * np.eye(dim)
        mean = mu @ mixing
        direction = np.linalg.solve(covariance, mean)
        self.log_true = self.source @ direction - mean @ direction / 2
        drawn = np.random.RandomState(0).permutation(num_target)
        self.centers = self.target[drawn[:NUM_CENTERS]]
        median = median_distance(measure(self.source, self.target))
        self.bandwidth = _WIDTH * median
        self.grid = median * np.array(GRID)

    def judge(self, on_source, on_target) -> dict:
        """Returns how good a ratio is, given over both samples at any scale.

        J, the ESS as a fraction, the mean squared error against the true
        ratio (both of mean 1), and the rank correlation with it.
        """
        from kliep_tf.density_ratio import diagnostics

        on_source, on_target = np.ravel(on_source), np.ravel(on_target)
        if not np.isfinite(on_source).all() or not on_source.any():
            return {"failed": "weights are not finite, or all 0"}
        with np.errstate(divide="ignore", invalid="ignore"):
            objective = np.mean(np.log(on_target)) - np.log(on_source.mean())
        weights = np.maximum(on_source, 0)
        return {
            "log_likelihood": float(objective),
            "ess": diagnostics.effective_sample_size(weights),
            "error": diagnostics.normalised_error(
                weights, np.exp(self.log_true)
            ),
            "rank_correlation": diagnostics.rank_correlation(
                weights, self.log_true
            ),
        }
