"""A tiny world in which every program that writes has something to do."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.faults import children
from tests.faults.programs import Program, programs_of
from tests.realism.frozen_graph import write_frozen_graph

# What has to be equal, byte for byte, after an interruption. The others hold
# times or paths.
_COMPARED = (
    *(".npz", ".tfrecord", ".csv", ".png", ".mat"),
    ".data-00000-of-00001",
)
_LEFTOVERS = ("*.partial", "*_temp", ".*.tfrecord.json", "checkpoint.tmp*")


class World:
    """Inputs of all programs under one directory."""

    def __init__(self, root: Path):
        self.root = Path(root)

    def path(self, name: str) -> str:
        """Returns the path of one part, such as "source" or "run"."""
        return str(self.root / name)

    def make(self, programs: Sequence[Program]) -> None:
        """Makes the parts that are missing and that these programs read."""
        named = {one.name: one for one in self.programs()}
        wanted = {part for program in programs for part in program.reads}
        made = {program.resumes for program in programs}
        if not (self.root / "raw").exists():
            _draw_frames(self.root / "raw")
        for name in ("source", "target", "val"):
            missing = not (self.root / name / "dataset.json").exists()
            if missing and wanted - {"gta5", "cityscapes", "frames"}:
                self._end_well(
                    children.start_function(lambda n=name: self._records(n))
                )
        if "inception" in wanted and not (self.root / "inception.pb").exists():
            self._end_well(
                children.start_function(
                    lambda: write_frozen_graph(self.root / "inception.pb")
                )
            )
        for name, part, readers in (
            ("render_demo", "city", {"gta5", "cityscapes"}),
            ("estimate_weights", "weights", {"weights"}),
            ("train", "run", {"checkpoints", "saved_model"}),
            ("train_segmenter", "segmenter_run", {"segmenter"}),
        ):
            program, output = named[name], self.path(part)
            if (wanted & readers or part in made) and not _is_complete(output):
                self._end_well(
                    children.start(program.module, program.flags(output))
                )

    def programs(self) -> list[Program]:
        """Returns the programs that write."""
        return programs_of(self.root)

    def _records(self, name: str) -> None:
        from tests.conftest import write_records

        write_records(
            self.root / name,
            number=6,
            sky=0.35 if name == "target" else 0.5,
            bright=name != "target",
            prefix=f"{name}_",
        )

    def _end_well(self, child: children.Child) -> None:
        outcome = child.wait()
        if outcome.status:
            raise RuntimeError(outcome.output[-3000:])


def digest(directory: str) -> dict[str, str]:
    """Returns the contents of an output that must not depend on a fault."""
    found = {}
    older = _older_checkpoints(Path(directory))
    for path in sorted(Path(directory).rglob("*")):
        name = str(path.relative_to(directory))
        if not path.is_file() or path.name.partition(".")[0] in older:
            continue
        if path.name.endswith(_COMPARED):
            content = path.read_bytes()
            found[name] = hashlib.sha256(content).hexdigest()[:16]
    return found


def _older_checkpoints(directory: Path) -> set[str]:
    """Returns the checkpoints before the last: a stop adds one to those kept.

    It pushes out another, which an undisturbed run still has.
    """
    names = [path.stem for path in directory.glob("checkpoints/ckpt-*.index")]
    names.sort(key=lambda name: int(name.removeprefix("ckpt-")))
    return set(names[:-1])


def leftovers(directory: str) -> list[str]:
    """Returns files that no finished output has."""
    return [
        str(path.relative_to(directory))
        for pattern in _LEFTOVERS
        for path in Path(directory).rglob(pattern)
    ]


def _is_complete(directory: str) -> bool:
    path = os.path.join(directory, "config.json")
    return os.path.exists(path) and '"complete"' in Path(path).read_text()


def _draw_frames(directory: Path) -> None:
    from kliep_tf.data.png import encode_png

    rng = np.random.default_rng(0)
    for folder in ("images", "labels"):
        (directory / folder).mkdir(parents=True, exist_ok=True)
    for number in range(9):
        image = rng.integers(0, 256, (32, 48, 3)).astype(np.uint8)
        label = rng.integers(0, 19, (32, 48)).astype(np.uint8)
        name = f"{number:03d}.png"
        (directory / "images" / name).write_bytes(encode_png(image))
        (directory / "labels" / name).write_bytes(encode_png(label))
