"""How fast and how good is KLIEP, beside published solvers and a GEMM?

    python benchmarks/kliep.py [--cases=large,gta,small] [--others_select]

Three problems whose true density ratio is known, each in a process of its own:
fixed width with 100 given centers, all target points as centers, and with the
width selected; first call (with compilation) and steady. densratio 0.4 and
adapt 0.4.5 solve at the same centers and width where they are installed
(`pip install densratio==0.4.0 adapt==0.4.5`); with --others_select they also
select from the same grid. The bound is one float32 matrix product of the size
of the distances. Prints JSON; times in seconds, J and gaps in nats.
"""

import argparse
import importlib
import importlib.util
import json
import os
import resource
import subprocess
import sys
import time
import warnings

import numpy as np

# N_s, N_t, d, and the dimension in which the two samples differ.
CASES = {
    "large": (10_000, 10_000, 300, 10),
    "gta": (24_966, 2_975, 512, 10),
    "small": (2_000, 2_000, 10, 10),
}
_WIDTH = 0.7  # of the fixed fits, times the median distance
_NUM_CENTERS = 100
_NOISE = 0.1
_REPEATS = 5


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--others_select", action="store_true")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case:
        report = run_case(arguments.case, arguments.others_select)
        print(json.dumps(report))
        return
    reports = {}
    for case in arguments.cases.split(","):
        print(f"{case} ...", file=sys.stderr, flush=True)
        command = [sys.executable, __file__, f"--case={case}"]
        if arguments.others_select:
            command.append("--others_select")
        output = subprocess.run(
            command, check=True, stdout=subprocess.PIPE, text=True
        ).stdout
        reports[case] = json.loads(output.splitlines()[-1])
    print(json.dumps({"cpus": os.cpu_count(), "cases": reports}, indent=2))


def make_case(case: str):
    """Returns source, target, and the true log ratio over the source.

    Features are a random map of a few latent coordinates, and noise. The
    latents are N(0, I) and N(mu, I), |mu| = 1.
    """
    num_source, num_target, dim, latent = CASES[case]
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(latent, dim)) / np.sqrt(dim)
    mu = np.full(latent, 1 / np.sqrt(latent))

    def sample(size, mean):
        features = (rng.normal(size=(size, latent)) + mean) @ mixing
        features += _NOISE * rng.normal(size=(size, dim)) / np.sqrt(dim)
        return features.astype(np.float32)

    source, target = sample(num_source, 0.0), sample(num_target, mu)
    covariance = mixing.T @ mixing + _NOISE**2 / dim * np.eye(dim)
    mean = mu @ mixing
    direction = np.linalg.solve(covariance, mean)
    return source, target, source @ direction - mean @ direction / 2


def run_case(case: str, others_select: bool) -> dict:
    source, target, log_true = make_case(case)
    report = {"shape": CASES[case][:3], "gemm": time_gemm(source, target)}
    adapt = adapt_fit(source, target, log_true)
    if "centers" in adapt:
        centers = adapt.pop("centers")
    else:
        rng = np.random.default_rng(0)
        rows = rng.choice(len(target), _NUM_CENTERS, replace=False)
        centers = target[rows]
    width = fixed_width(source, target)
    report["bandwidth"] = width
    report["100 centers"] = {
        "kliep_tf": ours(
            source, target, log_true, centers=centers, bandwidth=width
        ),
        "adapt": adapt,
        "densratio": densratio_fit(source, target, centers, width, log_true),
    }
    report["all centers"] = {
        "kliep_tf": ours(source, target, log_true, bandwidth=width)
    }
    report["selected"] = {"kliep_tf": ours(source, target, log_true)}
    report["peak_memory_mib_of_kliep_tf_and_all_others"] = round(
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    )
    if others_select:
        grid = grid_of(source, target)
        report["selected"]["adapt"] = adapt_fit(source, target, log_true, grid)
        report["selected"]["adapt"].pop("centers", None)
        report["selected"]["densratio"] = densratio_fit(
            source, target, centers, grid, log_true
        )
    return report


def fixed_width(source, target) -> float:
    from kliep_tf.density_ratio.frame import make_frame, median_distance

    frame = make_frame(source, target)
    return _WIDTH * median_distance(source, target, frame)


def grid_of(source, target) -> np.ndarray:
    from kliep_tf.density_ratio.selection import GRID

    return fixed_width(source, target) / _WIDTH * np.array(GRID)


def time_gemm(source, target) -> dict:
    """Times the product that the distances to 100 centers need."""
    import tensorflow as tf

    samples = tf.constant(np.concatenate([source, target]))
    centers = tf.constant(target[:_NUM_CENTERS])
    multiply = tf.function(
        lambda: tf.linalg.matmul(samples, centers, transpose_b=True),
        jit_compile=True,
    )
    seconds = min(timed(lambda: multiply().numpy())[0] for _ in range(10))
    operations = 2 * samples.shape[0] * samples.shape[1] * _NUM_CENTERS
    return {"seconds": seconds, "gflops": operations / seconds / 1e9}


def ours(source, target, log_true, **arguments) -> dict:
    from kliep_tf.density_ratio.kliep import density_ratio, fit_kliep

    def fit():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return fit_kliep(source, target, **arguments)

    cpu = time.process_time()
    first, result = timed(fit)
    first_cpu = time.process_time() - cpu
    repeats = 1 if first > 60 else _REPEATS
    cpu = time.process_time()
    steady = min(timed(fit)[0] for _ in range(repeats))
    steady_cpu = (time.process_time() - cpu) / repeats
    return {
        "first": first,
        "first_cpu": first_cpu,
        "steady": steady,
        "steady_cpu": steady_cpu,
        "bandwidth": result.bandwidth,
        "decided_by": result.decided_by,
        "log_likelihood": result.log_likelihood,
        "gap": result.duality_gap,
        "iterations": result.num_iterations,
        "active_centers": int((result.alpha > 0).sum()),
        **quality(density_ratio(source, result), log_true),
    }


def adapt_fit(source, target, log_true, grid=None) -> dict:
    """Fits adapt's KLIEP (Frank-Wolfe), drawing its own 100 centers."""
    if not importlib.util.find_spec("adapt"):
        return {"skipped": "adapt is not installed"}
    from adapt.instance_based import KLIEP

    widths = np.atleast_1d(
        fixed_width(source, target) if grid is None else grid
    )
    gammas = [float(gamma) for gamma in 1 / (2 * widths**2)]
    model = KLIEP(
        kernel="rbf",
        gamma=gammas if len(gammas) > 1 else gammas[0],
        max_centers=_NUM_CENTERS,
        random_state=0,
        verbose=0,
    )
    seconds, weights = timed(lambda: model.fit_weights(source, target))
    ratio = model.predict_weights(target).ravel()
    return {
        "steady": seconds,
        "bandwidth": float((2 * model.best_params_["gamma"]) ** -0.5),
        "log_likelihood": objective(ratio, weights),
        "centers": model.centers_,
        **quality(weights, log_true),
    }


def densratio_fit(source, target, centers, widths, log_true) -> dict:
    """Runs densratio's optimiser at these centers and width (or grid)."""
    if not importlib.util.find_spec("densratio"):
        return {"skipped": "densratio is not installed"}
    # The package has a function of the same name as this module.
    module = importlib.import_module("densratio.KLIEP")
    from densratio.RuLSIF import compute_kernel_Gaussian

    def fit():
        width = widths
        if np.ndim(width):
            width = module.KLIEP_search_sigma_list(
                target, source, centers, width, 5, verbose=False
            )
        on_target = np.asarray(compute_kernel_Gaussian(target, centers, width))
        on_source = np.asarray(compute_kernel_Gaussian(source, centers, width))
        alpha = module.KLIEP_optimize_alpha(on_target, on_source)
        return width, on_source @ alpha, on_target @ alpha

    seconds, (width, weights, ratio) = timed(fit)
    weights, ratio = np.ravel(weights), np.ravel(ratio)
    return {
        "steady": seconds,
        "bandwidth": float(width),
        "log_likelihood": objective(ratio, weights),
        **quality(weights, log_true),
    }


def objective(ratio, weights) -> float:
    """Returns J of a ratio over the target, scaled to be feasible."""
    return float(np.mean(np.log(ratio)) - np.log(np.mean(weights)))


def quality(weights, log_true) -> dict:
    from kliep_tf.density_ratio import diagnostics

    if not np.isfinite(weights).all() or not weights.any():
        return {"failed": "weights are not finite, or all 0"}
    weights = np.maximum(weights, 0)
    return {
        "ess": diagnostics.effective_sample_size(weights),
        "error": diagnostics.normalised_error(weights, np.exp(log_true)),
        "rank_correlation": diagnostics.rank_correlation(weights, log_true),
    }


def timed(function):
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


if __name__ == "__main__":
    main()
