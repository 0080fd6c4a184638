"""How long does relative KLIEP take, beside KLIEP at the same centers?

    python benchmarks/kliep_relative.py [--cases=small,gta,large] [--repeats=5]

The problems of benchmarks/kliep.py at their fixed width, 100 centers drawn from
each domain. Relative KLIEP has the centers of both and serves both directions
by one fit. KLIEP fits both directions, each at the other domain's 100 centers,
and then each at the same 200 centers as relative KLIEP. The calls take turns in
one process, after one call each that compiles. Prints JSON: the least CPU
seconds over all threads, and relative KLIEP's as multiples of KLIEP's.
"""

import argparse
import json
import time
import warnings

import numpy as np
from kliep_problems import CASES, NUM_CENTERS, Problem


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    report = {
        case: compare(Problem(case), arguments.repeats)
        for case in arguments.cases.split(",")
    }
    print(json.dumps(report, indent=1))


def compare(problem: Problem, repeats: int) -> dict:
    """Returns the least CPU seconds of each, and how they ended."""
    from kliep_tf.density_ratio.inputs import draw_rows
    from kliep_tf.density_ratio.kliep import fit_kliep
    from kliep_tf.density_ratio.relative import fit_relative_kliep

    source, target = problem.source, problem.target
    how = {"num_centers": NUM_CENTERS, "bandwidth": problem.bandwidth}

    centers = [
        sample[draw_rows(len(sample), NUM_CENTERS, 0)]
        for sample in (target, source)
    ]
    same = {
        "centers": np.concatenate(centers),
        "bandwidth": problem.bandwidth,
    }
    fits = {
        "kliep": lambda: (
            fit_kliep(source, target, **how),
            fit_kliep(target, source, **how),
        ),
        "kliep_at_the_same_centers": lambda: (
            fit_kliep(source, target, **same),
            fit_kliep(target, source, **same),
        ),
        "relative_kliep": lambda: fit_relative_kliep(source, target, **how),
    }
    least = dict.fromkeys(fits, float("inf"))
    for number in range(1 + repeats):
        for name, fit in fits.items():
            begin = time.process_time()
            result = fit()
            if number:
                least[name] = min(least[name], time.process_time() - begin)
    own = least["relative_kliep"]
    return {
        "cpu_seconds": least,
        "multiple_of": {name: own / value for name, value in least.items()},
        "duality_gap": result.duality_gap,
        "iterations": result.num_iterations,
        "source_ess": result.ess,
        "target_ess": result.reverse_ess,
    }


if __name__ == "__main__":
    main()
