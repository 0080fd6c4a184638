"""Does relative KLIEP end certified, whatever the samples?

    PYTHONPATH=. python benchmarks/relative_certificates.py \
        [--points=20000,50000]

Gaussians of several dimensions and distances, and class shares of 19 classes,
at several bandwidths and numbers of centers. Prints JSON, one line a fit: the
duality gap in nats (a fit that misses 3e-7 warns), iterations over all solves,
effective sample sizes and CPU seconds over all threads, compiling included.
"""

import argparse
import dataclasses
import json
import time

import numpy as np

NUM_CLASSES = 19


@dataclasses.dataclass(frozen=True)
class Case:
    """A problem; without a shift the points are class shares.

    Attributes:
        dimensions: of the points.
        shift: of all coordinates' means, in standard deviations.
        width: the bandwidth, in median distances between target points.
        centers: a domain.
    """

    dimensions: int
    shift: float | None
    width: float
    centers: int

    def draw(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns a source and a target of so many points."""
        rng = np.random.default_rng(0)
        shape = (number, self.dimensions)
        if self.shift is not None:
            return rng.normal(0, 1, shape), rng.normal(self.shift, 1, shape)
        even = np.full(self.dimensions, 0.5)
        uneven = np.linspace(0.3, 1, self.dimensions)
        return rng.dirichlet(even, number), rng.dirichlet(uneven, number)


CASES = {
    20_000: [
        Case(1, 2.0, 0.3, 100),
        Case(2, 1.0, 0.3, 200),
        Case(5, 1.0, 0.3, 100),
        Case(5, 1.5, 0.5, 100),
        Case(5, 0.3, 1.0, 200),
        Case(10, 0.5, 0.5, 100),
        Case(16, 1.0, 1.0, 100),
        # Without equal steps the solver goes to and fro here.
        Case(16, 0.5, 0.5, 200),
        Case(50, 0.3, 0.3, 100),
        Case(NUM_CLASSES, None, 0.3, 200),
        Case(NUM_CLASSES, None, 0.5, 100),
        Case(NUM_CLASSES, None, 1.0, 200),
    ],
    50_000: [
        Case(5, 0.5, 0.5, 200),
        Case(16, 0.5, 0.5, 200),
        Case(16, 1.0, 0.5, 200),
    ],
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--points", default=",".join(map(str, CASES)))
    for number in map(int, parser.parse_args().points.split(",")):
        for case in CASES[number]:
            print(json.dumps(fit(case, number)), flush=True)


def fit(case: Case, number: int) -> dict:
    """Returns the problem and how the fit of so many points ended."""
    from kliep_tf.density_ratio.relative import fit_relative_kliep
    from kliep_tf.density_ratio.samples import measure, median_distance

    source, target = case.draw(number)
    some = measure(source[:500], target[:500])
    begin = time.process_time()
    result = fit_relative_kliep(
        source,
        target,
        num_centers=case.centers,
        bandwidth=case.width * median_distance(some),
    )
    return {
        "points": number,
        **dataclasses.asdict(case),
        "duality_gap": result.duality_gap,
        "converged": result.converged,
        "iterations": result.num_iterations,
        "source_ess": round(result.ess, 3),
        "target_ess": round(result.reverse_ess, 3),
        "cpu_seconds": round(time.process_time() - begin, 1),
    }


if __name__ == "__main__":
    main()
