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
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from kliep_tf import cli, runs
from kliep_tf.errors import UserError
from kliep_tf.progress import ProgressBar
from tests.faults import long_run, parts
from tests.faults.world import World

PARTS: Mapping[str, Callable[[parts.Soak], Iterable[parts.Case]]] = {
    "kill": parts.kill,
    "signals": parts.signals,
    "together": parts.together,
    "disks": parts.disks,
    "damages": parts.damages,
    "fuzz": parts.fuzz,
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
    world = World(root / "world")
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
    results = _Results(root / "results.json", config.scale)
    for name in config.only:
        _do(name, list(PARTS[name](bench)), results)
    table = results.table(config)
    print(table)
    if config.write_page:
        _write_page(table, root)
    if results.failures:
        raise UserError(
            f"{root / 'results.json'}: expected no failure, found "
            f"{len(results.failures)}, the first: {results.failures[0]}"
        )


class _Results:
    """Findings by part and case, kept on disk."""

    def __init__(self, path: Path, scale: float):
        self._path = path
        self._found: dict[str, Any] = {}
        commit = _commit()
        if path.exists():
            self._found = json.loads(path.read_text())
        if self._found.get("commit") != commit:
            self._found = {"commit": commit, "parts": {}}
        self._parts = self._found["parts"]
        self._scale = scale

    def has(self, part: str, case: str) -> bool:
        """Whether a case was done before."""
        return case in self._parts.get(part, {}).get("cases", {})

    def add(self, part: str, finding: parts.Finding, seconds: float) -> None:
        """Keeps a finding."""
        entry = self._parts.setdefault(part, {"cases": {}, "seconds": 0.0})
        entry["cases"][finding.case] = dataclasses.asdict(finding)
        entry["seconds"] += seconds
        runs.write_atomically(self._path, json.dumps(self._found, indent=1))

    @property
    def failures(self) -> list[str]:
        """What went wrong, a line a case."""
        return [
            f"{part}: {case}: {one['complaint']}"
            for part, entry in self._parts.items()
            for case, one in entry["cases"].items()
            if one["complaint"]
        ]

    def table(self, config: SoakConfig) -> str:
        """Returns the results as a table in Markdown."""
        lines = [
            "| fault | cases | faults | what happened | minutes |",
            "|---|---:|---:|---|---:|",
        ]
        for part, entry in self._parts.items():
            cases = entry["cases"].values()
            failed = sum(bool(one["complaint"]) for one in cases)
            outcomes = collections.Counter(
                one["outcome"] for one in cases if not one["complaint"]
            )
            said = [
                f"{text} ({number})" for text, number in outcomes.most_common(4)
            ]
            said += [f"**failed ({failed})**"] * bool(failed)
            lines.append(
                f"| {part} | {len(cases)} | "
                f"{sum(one['count'] for one in cases)} | {', '.join(said)} | "
                f"{entry['seconds'] / 60:.1f} |"
            )
        total = sum(entry["seconds"] for entry in self._parts.values())
        lines += [
            "",
            f"`make soak`, scale {self._scale:g}, commit "
            f"{self._found['commit']}, {total / 60:.0f} minutes.",
        ]
        return "\n".join(lines)


def _do(name: str, cases: list[parts.Case], results: _Results) -> None:
    missing = [one for one in cases if not results.has(name, one[0])]
    done = len(cases) - len(missing)
    with ProgressBar(len(cases), name, "case", done) as bar:
        for case, make in missing:
            begin = time.monotonic()
            finding = dataclasses.replace(make(), case=case)
            results.add(name, finding, time.monotonic() - begin)
            if finding.complaint:
                print(f"{name}: {case}: {finding.complaint}", file=sys.stderr)
            bar.update()


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
