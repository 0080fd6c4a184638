"""The programs that write, each with a command that takes seconds."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

_TINY_TRANSLATOR = (
    "--generator_filters=2",
    "--discriminator_filters=2",
    "--num_residual_blocks=1",
    "--pool_size=2",
    "--features=class_histogram",
    "--log_every=1",
    "--image_every=4",
    "--checkpoint_every=2",
    "--steps=4",
)
_TINY_SEGMENTER = (
    "--network=tiny",
    "--batch_size=2",
    "--checkpoint_every=2",
    "--log_every=1",
    "--steps=4",
)
_IN_ONE_PROCESS = "--num_workers=0"


@dataclasses.dataclass(frozen=True)
class Program:
    """A program that writes, and its command in this world.

    Attributes:
        name: for the table.
        module: that `python -m` runs.
        flags: takes the output directory; returns the command line.
        max_kills: of its file operations at which it is killed.
        reads: the parts of the world that it reads, for damages: "frames",
            "gta5", "cityscapes", "records", "val", "weights", "checkpoints",
            "saved_model", "segmenter", "inception".
        resumes: the part of the world that is such an output, which a damaged
            checkpoint is put into; "" for none.
    """

    name: str
    module: str
    flags: Callable[[str], list[str]]
    max_kills: int
    reads: tuple[str, ...] = ()
    resumes: str = ""


def programs_of(root: Path) -> list[Program]:
    """Returns all of them, with what they read under `root`."""
    return [
        *_converters(root),
        *_weighting(root),
        *_trainings(root),
        *_reports(root),
    ]


def _converters(root: Path) -> list[Program]:
    return [
        Program(
            "render_demo",
            "tfrecords_tools.render_demo",
            lambda out: [
                f"--output_dir={out}",
                *("--num_source=4", "--num_target=3", "--num_val=2"),
                *("--image_height=32", "--image_width=64", _IN_ONE_PROCESS),
            ],
            10,
        ),
        Program(
            "convert_gta5",
            "tfrecords_tools.convert_gta5",
            lambda out: [
                f"--input_dir={root}/city/gta5",
                f"--output_dir={out}",
                *("--split=train", "--num_shards=2", _IN_ONE_PROCESS),
            ],
            10,
            ("gta5",),
        ),
        Program(
            "convert_cityscapes",
            "tfrecords_tools.convert_cityscapes",
            lambda out: [
                f"--input_dir={root}/city/cityscapes",
                f"--output_dir={out}",
                *("--num_shards=2", _IN_ONE_PROCESS),
            ],
            10,
            ("cityscapes",),
        ),
        Program(
            "convert_folder",
            "tfrecords_tools.convert_folder",
            lambda out: [
                f"--images={root}/raw/images/*.png",
                f"--labels={root}/raw/labels/*.png",
                "--label_map=cityscapes_train_ids",
                *("--num_shards=3", _IN_ONE_PROCESS),
                f"--output_dir={out}",
            ],
            15,
            ("frames",),
        ),
    ]


def _weighting(root: Path) -> list[Program]:
    return [
        Program(
            "estimate_weights",
            "kliep_tf.estimate_weights",
            lambda out: [
                *_both(root),
                "--features=class_histogram",
                f"--weights_dir={out}",
            ],
            10,
            ("records",),
        ),
        Program(
            "attach_weights",
            "tfrecords_tools.attach_weights",
            lambda out: [
                f"--records={root}/source",
                f"--weights_dir={root}/weights",
                "--domain=source",
                f"--output_dir={out}",
            ],
            8,
            ("records", "weights"),
        ),
    ]


def _trainings(root: Path) -> list[Program]:
    return [
        Program(
            "train",
            "kliep_tf.train",
            lambda out: [
                *_both(root),
                *_TINY_TRANSLATOR,
                f"--run_dir={out}",
            ],
            6,
            ("records",),
            "run",
        ),
        Program(
            "export",
            "kliep_tf.export",
            lambda out: [f"--run_dir={root}/run", f"--output_dir={out}"],
            6,
            ("checkpoints",),
        ),
        Program(
            "translate",
            "kliep_tf.translate",
            lambda out: [
                f"--saved_model={root}/run/saved_model",
                f"--source_records={root}/source",
                f"--output_dir={out}",
            ],
            8,
            ("records", "saved_model"),
        ),
        Program(
            "train_segmenter",
            "kliep_tf.train_segmenter",
            lambda out: [
                f"--train_records={root}/source",
                *_TINY_SEGMENTER,
                f"--run_dir={out}",
            ],
            6,
            ("records",),
            "segmenter_run",
        ),
        Program(
            "adapt_segmenter",
            "kliep_tf.adapt_segmenter",
            lambda out: [
                *_both(root),
                *_TINY_SEGMENTER,
                f"--run_dir={out}",
            ],
            6,
            ("records",),
        ),
    ]


def _reports(root: Path) -> list[Program]:
    return [
        Program(
            "evaluate",
            "kliep_tf.evaluate",
            lambda out: [
                f"--segmenter={root}/segmenter_run/saved_model",
                f"--records={root}/val",
                f"--output_dir={out}",
            ],
            8,
            ("val", "segmenter"),
        ),
        Program(
            "compare_images",
            "kliep_tf.compare_images",
            lambda out: [
                f"--records={root}/source",
                f"--target_records={root}/val",
                f"--inception={root}/inception.pb",
                *("--image_height=128", "--image_width=128"),
                f"--output_dir={out}",
            ],
            6,
            ("records", "val", "inception"),
        ),
        Program(
            "toy",
            "kliep_tf.experiments.toy",
            lambda out: [
                *("--num_seeds=2", "--reading=scalars", "--num_vectors=200"),
                *("--num_features=10", "--epochs=2", "--hidden_units=4"),
                *("--num_centers=20", "--fit_scalars=200"),
                f"--output_dir={out}",
            ],
            6,
        ),
    ]


def _both(root: Path) -> list[str]:
    return [
        f"--source_records={root}/source",
        f"--target_records={root}/target",
    ]
