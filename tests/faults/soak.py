"""Makes every kind of fault many times, and writes what happened.

    make soak
    make soak ARGS="--only=kill,fuzz --scale=.1"

Parts: kill (SIGKILL at every file operation), signals (SIGKILL, SIGTERM and
Ctrl-C at random times), together (two processes in one directory), disks (that
fill, or are read-only), damages (a catalogue, against every program that reads
the file), fuzz (random damage) and long (20,000 steps, 25,000 frames). The same
command again continues. Ends with status 1 where something went wrong.
"""

import collections
import dataclasses
import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import filelock
import numpy as np

from kliep_tf import cli, runs
from kliep_tf.errors import RefusedError, UserError
from kliep_tf.progress import ProgressBar
from tests.faults import data_parts, long_run, parts
from tests.faults.world import World

PARTS: Mapping[str, Callable[[parts.Soak], Iterable[parts.Case]]] = {
    "kill": parts.kill,
    "signals": parts.signals,
    "together": parts.together,
    "disks": parts.disks,
    "damages": data_parts.damages,
    "fuzz": data_parts.fuzz,
    "long": long_run.long_run,
}
_PAGE = Path("docs/reliability.md")
_FIGURE = Path("docs/reliability_long_run.png")
_BEGIN, _END = "<!-- soak -->\n", "<!-- end of soak -->\n"


@dataclasses.dataclass(frozen=True)
class SoakConfig:
    """The flags of this program."""

    output_dir: str = cli.flag("where everything goes", default="soak")
    only: tuple[str, ...] = cli.flag(
        "parts to do, by default all", default=tuple(PARTS)
    )
    programs: tuple[str, ...] = cli.flag(
        "programs to do, by default all", default=()
    )
    scale: float = cli.flag("of the number of cases", default=1.0)
    write_page: bool = cli.flag(
        "write the table into docs/reliability.md", default=False
    )


def soak(config: SoakConfig) -> None:
    """Does what is missing and prints the table."""
    unknown = set(config.only) - set(PARTS)
    if unknown:
        raise UserError(
            f"--only: expected parts of {', '.join(PARTS)}, found "
            f"{', '.join(sorted(unknown))}"
        )
    root = Path(config.output_dir).resolve()
    root.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(root / ".lock", fallback_to_soft=False)
    try:
        with lock.acquire(blocking=False):
            _soak(config, root)
    except filelock.Timeout:
        raise RefusedError(f"{root}: in use by another soak") from None


def _soak(config: SoakConfig, root: Path) -> None:
    # Of this commit: what was made by another may be other bytes.
    world = World(root / f"world_{_commit()}")
    chosen = [
        one
        for one in world.programs()
        if not config.programs or one.name in config.programs
    ]
    # Imported once for all children, which are forked. Nothing of TensorFlow
    # may run here: it does not survive a fork once it has.
    for program in chosen:
        importlib.import_module(program.module)
    importlib.import_module("tests.conftest")
    world.make(chosen)
    (root / "scratch").mkdir(exist_ok=True)
    bench = parts.Soak(world, chosen, config.scale, root / "scratch")
    results = Results(root / "results.json")
    for name in config.only:
        _do(name, list(PARTS[name](bench)), results)
    table = results.table()
    print(table)
    if config.write_page:
        _write_page(table, root)
    if results.failures:
        raise UserError(
            f"{root / 'results.json'}: expected no failure, found "
            f"{len(results.failures)}, the first: {results.failures[0]}"
        )


class Results:
    """Findings by part and case, kept on disk.

    A part that was begun at another commit is begun anew when it is asked for.
    """

    def __init__(self, path: Path):
        self._path = path
        self._parts: dict[str, Any] = {}
        if path.exists():
            self._parts = json.loads(path.read_text())

    def begin(self, part: str, cases: int) -> None:
        """Says how many cases a part has."""
        commit = _commit()
        if self._parts.get(part, {}).get("commit") != commit:
            self._parts[part] = {
                "commit": commit,
                "cpu_seconds": 0.0,
                "seconds": 0.0,
                "cases": {},
            }
        self._parts[part]["number"] = cases

    def has(self, part: str, case: str) -> bool:
        """Whether a case was done before."""
        return case in self._parts[part]["cases"]

    def add(
        self, part: str, finding: parts.Finding, cpu: float, seconds: float
    ) -> None:
        """Keeps a finding."""
        entry = self._parts[part]
        entry["cases"][finding.case] = dataclasses.asdict(finding)
        entry["cpu_seconds"] += cpu
        entry["seconds"] += seconds
        runs.write_atomically(self._path, json.dumps(self._parts, indent=1))

    @property
    def failures(self) -> list[str]:
        """What went wrong, a line a case."""
        return [
            f"{part}: {case}: {one['complaint']}"
            for part, entry in self._parts.items()
            for case, one in entry["cases"].items()
            if one["complaint"]
        ]

    def table(self) -> str:
        """Returns the results as a table in Markdown."""
        lines = [
            "| part | cases | faults | what happened | CPU minutes |",
            "|---|---:|---:|---|---:|",
        ]
        for part, entry in self._parts.items():
            cases = entry["cases"].values()
            number = f"{len(cases):,}"
            if len(cases) < entry["number"]:
                number += f" of {entry['number']:,}, unfinished"
            lines.append(
                f"| {part} | {number} | "
                f"{sum(one['count'] for one in cases):,} | "
                f"{_outcomes(cases)} | {entry['cpu_seconds'] / 60:.1f} |"
            )
        commits: dict[str, list[str]] = {}
        for part, entry in self._parts.items():
            commits.setdefault(entry["commit"], []).append(part)
        said = [f"{one} ({', '.join(many)})" for one, many in commits.items()]
        if len(commits) == 1:
            said = list(commits)
        cpu, seconds = (
            sum(entry[key] for entry in self._parts.values()) / 60
            for key in ("cpu_seconds", "seconds")
        )
        lines += [
            "",
            f"By `make soak` at commit {', '.join(said)}: {cpu:.0f} minutes of "
            f"processor time, {seconds:.0f} by the clock.",
        ]
        return "\n".join(lines)


def _outcomes(cases: Iterable[Mapping[str, Any]]) -> str:
    failed = sum(bool(one["complaint"]) for one in cases)
    counted = collections.Counter(
        one["outcome"] for one in cases if not one["complaint"]
    )
    said = [f"{text} ({number})" for text, number in counted.most_common()]
    said += [f"**failed ({failed})**"] * bool(failed)
    return ", ".join(said)


def _do(name: str, cases: list[parts.Case], results: Results) -> None:
    results.begin(name, len(cases))
    missing = [one for one in cases if not results.has(name, one[0])]
    # A soak that is stopped early has then done some of every program.
    np.random.default_rng(0).shuffle(missing)  # type: ignore[arg-type]
    done = len(cases) - len(missing)
    with ProgressBar(len(cases), name, "case", done) as bar:
        for case, make in missing:
            begin, cpu = time.monotonic(), _cpu_seconds()
            finding = dataclasses.replace(make(), case=case)
            results.add(
                name, finding, _cpu_seconds() - cpu, time.monotonic() - begin
            )
            if finding.complaint:
                print(f"{name}: {case}: {finding.complaint}", file=sys.stderr)
            bar.update()


def _cpu_seconds() -> float:
    """Returns what this process and its children that ended have taken."""
    return sum(os.times()[:4])


def _write_page(table: str, root: Path) -> None:
    text = _PAGE.read_text()
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    figure = ""
    long_run.draw(root, _FIGURE)
    if _FIGURE.exists():
        figure = f"\n\n![The long runs]({_FIGURE.name})"
    page = f"{before}{_BEGIN}\n{table}{figure}\n\n{_END}{after}"
    runs.write_atomically(_PAGE, page)


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"


if __name__ == "__main__":
    cli.run(soak, SoakConfig)
