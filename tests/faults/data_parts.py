"""The parts of the soak that damage data: by a catalogue, and by chance."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from kliep_tf import runs
from tests.faults import children, damage, fuzzing
from tests.faults.parts import Case, Finding, Soak
from tests.faults.programs import Program

# A process of its own takes as long to begin as ten thousand inputs.
_FUZZED_AT_ONCE = 10_000


def damages(soak: Soak) -> Iterator[Case]:
    """Each damage of the catalogue against each program that reads the file."""
    root = str(soak.world.root)
    for program in soak.programs:
        for part in program.reads:
            for path, kinds in damage.files_of(part, root):
                for kind in kinds[: soak.times(len(kinds))]:
                    name = os.path.relpath(path, root)
                    yield (
                        f"{program.name}, {name}: {kind.name}",
                        lambda p=program, f=path, k=kind: _damaged(
                            soak, p, f, k
                        ),
                    )
        for kind in damage.FLAGFILE[: soak.times(len(damage.FLAGFILE))]:
            yield (
                f"{program.name}, its flagfile: {kind.name}",
                lambda p=program, k=kind: _damaged_flagfile(soak, p, k),
            )
        if program.resumes:
            run = Path(soak.world.path(program.resumes))
            for name in damage.checkpoint_files(run):
                for kind in damage.ANY[: soak.times(len(damage.ANY))]:
                    yield (
                        f"{program.name} goes on from {name}: {kind.name}",
                        lambda p=program, r=run, n=name, k=kind: _resumed(
                            soak, p, r, n, k
                        ),
                    )


def _damaged(
    soak: Soak, program: Program, path: str, kind: damage.Damage
) -> Finding:
    output = soak.output(program)
    with damage.damaged(path, kind):
        outcome = children.run(program.module, program.flags(output))
    return _judged(outcome, kind.may_pass)


def _damaged_flagfile(
    soak: Soak, program: Program, kind: damage.Damage
) -> Finding:
    path = soak.scratch / f"{program.name}.flags"
    content = "\n".join([*program.flags(soak.output(program)), ""]).encode()
    path.write_bytes(kind.make(content))
    outcome = children.run(program.module, [f"--flagfile={path}"])
    return _judged(outcome, kind.may_pass)


def _judged(outcome: children.Outcome, may_pass: bool) -> Finding:
    if outcome.complaint:
        return Finding("", 1, outcome.complaint)
    if outcome.status == 0 and not may_pass:
        return Finding("", 1, "nobody noticed")
    return Finding("", 1, "", "refused" if outcome.status else "went on")


def _resumed(
    soak: Soak, program: Program, run: Path, name: str, kind: damage.Damage
) -> Finding:
    """Lets an unfinished run go on whose newest checkpoint is damaged."""
    output = soak.output(program)
    shutil.copytree(run, output)
    shutil.rmtree(os.path.join(output, runs.SAVED_MODEL))
    config = Path(output, runs.CONFIG)
    records = json.loads(config.read_text())
    for record in records["parts"].values():
        record["status"] = "incomplete"
    config.write_text(json.dumps(records))
    path = Path(output, name)
    path.write_bytes(kind.make(path.read_bytes()))
    outcome = children.run(program.module, program.flags(output))
    if outcome.status:
        return Finding("", 1, outcome.complaint, "refused")
    complaint = soak.compare(program, output)
    return Finding("", 1, complaint, "the checkpoint before it served")


def fuzz(soak: Soak) -> Iterator[Case]:
    """Random damage of each format, and samples by chance for fit_kliep."""
    directory = soak.scratch / "fuzz"
    for name in (*fuzzing.NAMES, "fit_kliep"):
        total = soak.times(fuzzing.COUNTS.get(name, fuzzing.COUNT))
        for seed in range(-(-total // _FUZZED_AT_ONCE)):
            count = min(_FUZZED_AT_ONCE, total - seed * _FUZZED_AT_ONCE)
            yield (
                f"{name}, seed {seed}",
                lambda n=name, c=count, s=seed: _fuzzed(directory, n, c, s),
            )


def _fuzzed(directory: Path, name: str, count: int, seed: int) -> Finding:
    """Fuzzes in a process of its own, which a crash would end."""

    def run() -> None:
        if name == "fit_kliep":
            found = fuzzing.fuzz_kliep(count, seed)
        else:
            shutil.rmtree(directory, ignore_errors=True)
            form = fuzzing.readers(directory)[name]
            found = fuzzing.fuzz_reader(form, count, seed)
        print("\n".join(found[:5]))
        raise SystemExit(1 if found else 0)

    outcome = children.start_function(run).wait()
    if outcome.status:
        # What it found comes last, after TensorFlow's warnings.
        text = outcome.output.strip()[-700:]
        return Finding("", count, f"status {outcome.status}: {text}")
    return Finding("", count, "", "read or refused in one line")
