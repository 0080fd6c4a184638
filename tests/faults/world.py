"""A tiny world in which every program that writes has something to do."""

import dataclasses
import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tests.faults import children

_TINY_TRAINING = (
    "--generator_filters=2",
    "--discriminator_filters=2",
    "--num_residual_blocks=1",
    "--pool_size=2",
    "--features=class_histogram",
    "--log_every=1",
    "--image_every=4",
    "--checkpoint_every=2",
)
# What has to be equal, byte for byte, after an interruption. The others hold
# times or paths.
_COMPARED = (".npz", ".tfrecord", ".csv", ".png", ".data-00000-of-00001")
_LEFTOVERS = ("*.partial", "*_temp", ".*.tfrecord.json", "checkpoint.tmp*")


@dataclasses.dataclass(frozen=True)
class Program:
    """A program that writes, and its command in this world.

    Attributes:
        name: for the table.
        module: that `python -m` runs.
        flags: takes the output directory; returns the command line.
        max_kills: of its file operations at which it is killed.
        reads: the part of the world that it reads, for damages: "records",
            "weights", "checkpoints", "saved_model", "segmenter".
    """

    name: str
    module: str
    flags: Callable[[str], list[str]]
    max_kills: int
    reads: tuple[str, ...]


class World:
    """Inputs of all programs under one directory."""

    def __init__(self, root: Path):
        self.root = Path(root)

    def path(self, name: str) -> str:
        """Returns the path of one part, such as "source" or "run"."""
        return str(self.root / name)

    def make(self, programs: Sequence[Program]) -> None:
        """Makes the parts that are missing and that these programs read."""
        wanted = {part for program in programs for part in program.reads}
        if not (self.root / "raw").exists():
            _draw_frames(self.root / "raw")
        for name in ("source", "target", "val"):
            missing = not (self.root / name / "dataset.json").exists()
            if wanted and missing:
                self._end_well(
                    children.start_function(lambda n=name: self._records(n))
                )
        for name, part, readers in (
            ("estimate_weights", "weights", {"weights"}),
            ("train", "run", {"checkpoints", "saved_model"}),
            ("train_segmenter", "segmenter_run", {"segmenter"}),
        ):
            program = {one.name: one for one in self.programs()}[name]
            output = self.path(part)
            if wanted & readers and not _is_complete(output):
                self._end_well(
                    children.start(program.module, program.flags(output))
                )

    def programs(self) -> list[Program]:
        """Returns the programs that write."""
        source, target = self.path("source"), self.path("target")
        both = [f"--source_records={source}", f"--target_records={target}"]
        segmenter = f"{self.path('segmenter_run')}/saved_model"
        generator = f"{self.path('run')}/saved_model"
        training = ["--network=tiny", "--batch_size=2", "--steps=4"]
        training += ["--checkpoint_every=2", "--log_every=1"]
        return [
            Program(
                "convert_folder",
                "tfrecords_tools.convert_folder",
                lambda out: [
                    f"--images={self.path('raw')}/images/*.png",
                    f"--labels={self.path('raw')}/labels/*.png",
                    "--label_map=cityscapes_train_ids",
                    "--num_shards=3",
                    "--num_workers=0",
                    f"--output_dir={out}",
                ],
                40,
                (),
            ),
            Program(
                "attach_weights",
                "tfrecords_tools.attach_weights",
                lambda out: [
                    f"--records={source}",
                    f"--weights_dir={self.path('weights')}",
                    "--domain=source",
                    f"--output_dir={out}",
                ],
                20,
                ("records", "weights"),
            ),
            Program(
                "estimate_weights",
                "kliep_tf.estimate_weights",
                lambda out: [
                    *both,
                    "--features=class_histogram",
                    f"--weights_dir={out}",
                ],
                20,
                ("records",),
            ),
            Program(
                "train",
                "kliep_tf.train",
                lambda out: [
                    *both,
                    *_TINY_TRAINING,
                    "--steps=4",
                    f"--run_dir={out}",
                ],
                12,
                ("records",),
            ),
            Program(
                "export",
                "kliep_tf.export",
                lambda out: [
                    f"--run_dir={self.path('run')}",
                    f"--output_dir={out}",
                ],
                12,
                ("checkpoints",),
            ),
            Program(
                "translate",
                "kliep_tf.translate",
                lambda out: [
                    f"--saved_model={generator}",
                    f"--source_records={source}",
                    f"--output_dir={out}",
                ],
                20,
                ("records", "saved_model"),
            ),
            Program(
                "train_segmenter",
                "kliep_tf.train_segmenter",
                lambda out: [
                    f"--train_records={source}",
                    *training,
                    f"--run_dir={out}",
                ],
                12,
                ("records",),
            ),
            Program(
                "evaluate",
                "kliep_tf.evaluate",
                lambda out: [
                    f"--segmenter={segmenter}",
                    f"--records={self.path('val')}",
                    f"--output_dir={out}",
                ],
                20,
                ("records", "segmenter"),
            ),
        ]

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
    for path in sorted(Path(directory).rglob("*")):
        name = str(path.relative_to(directory))
        if path.is_file() and path.name.endswith(_COMPARED):
            content = path.read_bytes()
            found[name] = hashlib.sha256(content).hexdigest()[:16]
    return found


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
