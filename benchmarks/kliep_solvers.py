"""What benchmarks/kliep.py runs: this project, published solvers, a GEMM.

Each takes a Problem and returns a function that solves it once. What that
returns is called, outside the time taken, for a report of the answer.
"""

import importlib
import warnings
from collections.abc import Callable

import numpy as np
from kliep_problems import NUM_CENTERS, Problem

_BLOCK = 4096  # rows of a matrix product, so that memory is not what it takes
Solve = Callable[[], Callable[[], dict]]


def gemm(problem: Problem) -> Solve:
    """The matrix product that the distances to 100 centers need."""
    samples = np.concatenate([problem.source, problem.target])
    return products([samples], problem.centers)


def gemm_of_all_centers(problem: Problem) -> Solve:
    """The matrix products that the distances to all target points need."""
    samples = np.concatenate([problem.source, problem.target])
    starts = range(0, len(samples), _BLOCK)
    blocks = [samples[first : first + _BLOCK] for first in starts]
    return products(blocks, problem.target)


def products(blocks: list[np.ndarray], centers: np.ndarray) -> Solve:
    """The products of blocks of samples with the centers."""
    import tensorflow as tf

    blocks, centers = [tf.constant(b) for b in blocks], tf.constant(centers)
    multiply = tf.function(
        lambda block: tf.linalg.matmul(block, centers, transpose_b=True),
        jit_compile=True,
    )

    def solve():
        for block in blocks:
            multiply(block).numpy()
        return dict

    return solve


def ours(problem: Problem, **arguments) -> Solve:
    """This project's fit and its weights over the source."""
    from kliep_tf.density_ratio.kliep import density_ratio, fit_kliep

    def solve():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = fit_kliep(problem.source, problem.target, **arguments)

        def report():
            weights = density_ratio(problem.source, result)
            return {
                "bandwidth": result.bandwidth,
                "decided_by": result.decided_by,
                "gap": result.duality_gap,
                "iterations": result.num_iterations,
                "active_centers": int((result.alpha > 0).sum()),
                **problem.judge(weights, density_ratio(problem.target, result)),
            }

        return report

    return solve


def adapt(problem: Problem, widths) -> Solve:
    """adapt's Frank-Wolfe; it selects where several widths are given."""
    from adapt.instance_based import KLIEP

    gammas = [float(1 / (2 * width**2)) for width in np.atleast_1d(widths)]

    def solve():
        model = KLIEP(
            kernel="rbf",
            gamma=gammas if len(gammas) > 1 else gammas[0],
            max_centers=NUM_CENTERS,
            random_state=0,
            verbose=0,
        )
        weights = model.fit_weights(problem.source, problem.target)

        def report():
            if len(gammas) == 1 and not np.array_equal(
                model.centers_, problem.centers
            ):
                raise RuntimeError("adapt drew other centers than expected")
            return {
                "bandwidth": float((2 * model.best_params_["gamma"]) ** -0.5),
                **problem.judge(weights, model.predict_weights(problem.target)),
            }

        return report

    return solve


def densratio(problem: Problem, widths) -> Solve:
    """densratio's projected gradient, and its own cross-validation."""
    # The package has a function of the same name as this module.
    module = importlib.import_module("densratio.KLIEP")
    from densratio.RuLSIF import compute_kernel_Gaussian

    source, target, centers = problem.source, problem.target, problem.centers

    def solve():
        width = widths
        if np.ndim(widths):
            width = module.KLIEP_search_sigma_list(
                target, source, centers, widths, 5, verbose=False
            )
        on_target = np.asarray(compute_kernel_Gaussian(target, centers, width))
        on_source = np.asarray(compute_kernel_Gaussian(source, centers, width))
        alpha = np.ravel(module.KLIEP_optimize_alpha(on_target, on_source))
        return lambda: {
            "bandwidth": float(width),
            **problem.judge(on_source @ alpha, on_target @ alpha),
        }

    return solve


# By name: the question, and the solver.
JOBS = {
    "gemm": ("bound", gemm),
    "gemm, all centers": ("bound", gemm_of_all_centers),
    "kliep_tf, 100 centers": (
        "fixed",
        lambda p: ours(p, centers=p.centers, bandwidth=p.bandwidth),
    ),
    "adapt, 100 centers": ("fixed", lambda p: adapt(p, p.bandwidth)),
    "densratio, 100 centers": ("fixed", lambda p: densratio(p, p.bandwidth)),
    "kliep_tf, all centers": ("all", lambda p: ours(p, bandwidth=p.bandwidth)),
    "kliep_tf, width selected": ("selected", lambda p: ours(p)),
    "kliep_tf, width selected, 100 centers": (
        "selected",
        lambda p: ours(p, centers=p.centers),
    ),
    "adapt, width selected": ("selected", lambda p: adapt(p, p.grid)),
    "densratio, width selected": ("selected", lambda p: densratio(p, p.grid)),
}
