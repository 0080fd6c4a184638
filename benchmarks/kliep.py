"""How fast and how good is KLIEP, beside published solvers and a GEMM?

    python benchmarks/kliep.py [--cases=large,gta,small] [--time_limit=900]
        [--questions=bound,fixed,all,selected]
        [--markdown=docs/results/kliep_benchmark.md]

Three problems whose true density ratio is known: a fixed width with the same
100 centers for all, all target points as centers, and the width selected by
each solver's own cross-validation from one grid. Every solver runs in a
process of its own, one after another: the first call (with compilation), the
best of several more, and the peak of its memory. densratio 0.4 and adapt 0.4.5
are in the test extra. The bound is one float32 matrix product of the size of
the distances to 100 centers. Prints JSON; times in seconds, J and gaps in
nats. A solver that takes longer than the limit is given up, and said to be.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import kliep_table
from kliep_problems import CASES, Problem
from kliep_solvers import JOBS

_REPEATS = 7
_LONG = 20.0  # CPU seconds; what takes as long is not repeated


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--questions", default="bound,fixed,all,selected")
    parser.add_argument("--time_limit", type=float, default=900)
    parser.add_argument("--markdown", help="also write the table there")
    parser.add_argument("--from_json", help="a table of an earlier run")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.job:
        print(json.dumps(run(arguments.cases, arguments.job)))
        return
    if arguments.from_json:
        report = json.loads(Path(arguments.from_json).read_text())
    else:
        report = run_all(
            arguments.cases.split(","),
            arguments.questions.split(","),
            arguments.time_limit,
        )
        print(json.dumps(report, indent=2))
    if arguments.markdown:
        path = Path(arguments.markdown)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(kliep_table.as_markdown(report), encoding="utf-8")


def run_all(cases: list[str], questions: list[str], time_limit: float) -> dict:
    """Returns the reports of all solvers of these questions."""
    reports = {}
    for case in cases:
        reports[case] = {"shape": CASES[case][:3], "solvers": {}}
        for name, (question, _) in JOBS.items():
            if question not in questions:
                continue
            print(f"{case}: {name}", file=sys.stderr, flush=True)
            found = run_apart(case, name, time_limit)
            reports[case]["solvers"][name] = found
    return {
        "cpus": os.cpu_count(),
        "load_average": os.getloadavg()[1],
        "time_limit": time_limit,
        "cases": reports,
    }


def run_apart(case: str, name: str, time_limit: float) -> dict:
    """Returns the report of one solver, run in a process of its own."""
    command = [sys.executable, __file__, f"--cases={case}", f"--job={name}"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=time_limit
        )
    except subprocess.TimeoutExpired:
        return {"failed": f"not done in {time_limit:g} s"}
    if done.returncode:
        return {"failed": done.stderr.strip().splitlines()[-1]}
    return json.loads(done.stdout.splitlines()[-1])


def run(case: str, name: str) -> dict:
    """Times one solver in this process."""
    problem = Problem(case)
    solve = JOBS[name][1](problem)
    before = peak_memory_mib()
    wall, cpu, report = timed(solve)
    first = {"first": wall, "first_cpu": cpu}
    repeats = _REPEATS if cpu < _LONG else 0
    again = [timed(solve)[:2] for _ in range(repeats)]
    walls, cpus = zip((wall, cpu), *again, strict=True)
    return {
        **first,
        "steady": min(walls),
        "steady_cpu": min(cpus),
        # The samples, imported libraries and, above them, the solver's.
        "peak_memory_mib": peak_memory_mib(),
        "peak_memory_added_mib": peak_memory_mib() - before,
        **report(),
    }


def timed(solve) -> tuple:
    wall, cpu = time.perf_counter(), time.process_time()
    report = solve()
    return time.perf_counter() - wall, time.process_time() - cpu, report


def peak_memory_mib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main()
