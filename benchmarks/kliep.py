"""How fast and how good is KLIEP, beside published solvers and a GEMM?

    python benchmarks/kliep.py [--cases=large,gta,small] [--time_limit=900]
        [--questions=bound,fixed,all,selected]
        [--markdown=docs/results/kliep_benchmark.md]

Three problems whose true density ratio is known: a fixed width with the same
100 centers for all, all target points as centers, and the width selected by
each solver's own cross-validation from one grid. Every solver runs in a
process of its own, one after another: the first call (with compilation), the
best of as many more as ten seconds have room for (seven at most; none after a
first call of 20 seconds), and the peak of its memory. densratio 0.4 and adapt
0.4.5 are in the test extra. The bounds are float32 matrix products of the size
of the distances to 100 centers, and to all target points. Prints JSON; times
in seconds, J and gaps in nats. A first call that takes longer than the limit
is given up, and said to be; the limit is then what it took at least.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import kliep_table
from kliep_problems import CASES, Problem
from kliep_solvers import JOBS
from timed_worker import peak_mb

_REPEATS = 7
_REPEATED_FOR = 10.0  # seconds, after which no repeat begins
_LONG = 20.0  # seconds; what takes as long is not repeated


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
        report = run(arguments.cases, arguments.job, arguments.time_limit)
        print(json.dumps(report))
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
    command = [
        sys.executable,
        __file__,
        f"--cases={case}",
        f"--job={name}",
        f"--time_limit={time_limit}",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == -signal.SIGALRM:
        return {
            "failed": f"not done in {time_limit:g} s",
            "longer_than": time_limit,
        }
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        return {"failed": f"ended by {name}"}
    if done.returncode:
        return {"failed": done.stderr.strip().splitlines()[-1]}
    return json.loads(done.stdout.splitlines()[-1])


def run(case: str, name: str, time_limit: float) -> dict:
    """Times one solver in this process, which ends at the time limit."""
    problem = Problem(case)
    solve = JOBS[name][1](problem)
    before = peak_mb()
    # Not handled: the alarm ends the process, whatever it is computing.
    signal.setitimer(signal.ITIMER_REAL, time_limit)
    wall, cpu, report = timed(solve)
    signal.setitimer(signal.ITIMER_REAL, 0)
    first = {"first": wall, "first_cpu": cpu}
    walls, cpus = [wall], [cpu]
    while (
        wall < _LONG
        and len(walls) <= _REPEATS
        and sum(walls[1:]) < _REPEATED_FOR
    ):
        again_wall, again_cpu, report = timed(solve)
        walls.append(again_wall)
        cpus.append(again_cpu)
    return {
        **first,
        "steady": min(walls),
        "steady_cpu": min(cpus),
        "calls": len(walls),
        # The samples, imported libraries and, above them, the solver's.
        "peak_memory_mib": round(peak_mb()),
        "peak_memory_added_mib": round(peak_mb() - before),
        **report(),
    }


def timed(solve) -> tuple:
    wall, cpu = time.perf_counter(), time.process_time()
    report = solve()
    return time.perf_counter() - wall, time.process_time() - cpu, report


if __name__ == "__main__":
    main()
