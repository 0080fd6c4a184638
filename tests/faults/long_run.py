"""A long training and a long translation: does anything grow?"""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.faults import children
from tests.faults.parts import Case, Finding, Soak

_STEPS, _FRAMES = 20_000, 25_000
_SECONDS_BETWEEN = 1.0
_SECONDS_AT_MOST = 3 * 3600.0
# Of the memory, from the second quarter to the last.
_MOST_GROWTH = 0.05
_NAMES = ("memory, MB", "open files", "threads", "output, MB")


def long_run(soak: Soak) -> Iterator[Case]:
    """20,000 tiny steps and 25,000 tiny frames, watched from outside."""
    steps, frames = soak.times(_STEPS), soak.times(_FRAMES)
    yield (f"train, {steps} steps", lambda: _long_training(soak, steps))
    yield (
        f"translate, {frames} frames",
        lambda: _long_translation(soak, frames),
    )


def _long_training(soak: Soak, steps: int) -> Finding:
    (program,) = [one for one in soak.world.programs() if one.name == "train"]
    output = soak.output(program)
    flags = [
        *program.flags(output),
        f"--steps={steps}",
        "--identity_weight=0",  # which saves a third of the time
        "--log_every=100",
        f"--checkpoint_every={max(steps // 20, 1)}",
        f"--image_every={max(steps // 20, 1)}",
    ]
    return _watched(soak, program.module, flags, output, steps)


def _long_translation(soak: Soak, frames: int) -> Finding:
    (program,) = [
        one for one in soak.world.programs() if one.name == "translate"
    ]
    source = soak.scratch / f"frames_{frames}"
    if not (source / "dataset.json").exists():
        made = children.start_function(lambda: _draw(source, frames)).wait()
        if made.status:
            return Finding("", 0, made.output[-500:])
    output = soak.output(program)
    flags = [*program.flags(output), f"--source_records={source}"]
    return _watched(soak, program.module, flags, output, frames)


def _draw(directory: Path, number: int) -> None:
    from tests.conftest import write_records

    write_records(directory, number=number, sky=0.5, bright=True, num_shards=9)


def _watched(
    soak: Soak, module: str, flags: list[str], output: str, count: int
) -> Finding:
    child = children.start(module, flags)
    samples: list[tuple[float, ...]] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_SECONDS_BETWEEN):
            samples.append(_sample(child.pid, output))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    outcome = child.wait(_SECONDS_AT_MOST)
    ended.set()
    watcher.join()
    table = np.array([one for one in samples if one[0]]).reshape(-1, 4)
    name = module.rsplit(".", 1)[-1]
    np.savetxt(
        soak.scratch.parent / f"long_{name}.csv",
        table,
        "%.6g",
        delimiter=",",
        header=",".join(_NAMES),
    )
    if outcome.status:
        return Finding("", count, outcome.complaint or outcome.output[-500:])
    if len(table) < 16:
        return Finding("", count, "", "too short to tell")
    quarters = np.array_split(table, 4)
    before, after = quarters[1].mean(0), quarters[3].mean(0)
    grown = [
        f"{what} from {old:.4g} to {new:.4g}"
        for what, old, new in zip(_NAMES[:3], before, after, strict=False)
        if new > old * (1 + _MOST_GROWTH)
    ]
    text = f"memory {before[0]:.0f} to {after[0]:.0f} MB"
    return Finding(
        "", count, "grows: " + "; ".join(grown) if grown else "", text
    )


def _sample(pid: int, output: str) -> tuple[float, ...]:
    """Returns memory, open files, threads of a process, size of its output."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        fields = dict(line.split(":\t", 1) for line in status.splitlines())
        memory = int(fields["VmRSS"].split()[0]) / 1024
        threads = int(fields["Threads"])
        files = len(os.listdir(f"/proc/{pid}/fd"))
    except (OSError, KeyError, ValueError):
        return (0.0, 0.0, 0.0, 0.0)
    size = 0
    for parent, _, names in os.walk(output):
        for name in names:
            try:
                size += os.path.getsize(os.path.join(parent, name))
            except OSError:
                continue
    return memory, files, threads, size / 1e6


def draw(directory: Path, path: Path) -> None:
    """Draws what `long_run` measured, a column a program."""
    from matplotlib.figure import Figure

    tables = sorted(directory.glob("long_*.csv"))
    if not tables:
        return
    figure = Figure(figsize=(10, 8), layout="constrained")
    axes = figure.subplots(len(_NAMES), len(tables), squeeze=False)
    for column, table in enumerate(tables):
        values = np.loadtxt(table, delimiter=",", ndmin=2)
        for row, name in enumerate(_NAMES):
            axes[row, column].plot(values[:, row])
            axes[row, column].set_ylabel(name)
            axes[row, column].set_ylim(bottom=0)
        axes[0, column].set_title(table.stem.removeprefix("long_"))
        axes[-1, column].set_xlabel("seconds")
    figure.savefig(path, dpi=80)
