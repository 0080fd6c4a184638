"""The flags of the demo and the stages that they ask for."""

import dataclasses
from pathlib import Path

from kliep_tf import cli, runs
from kliep_tf.experiments.running.flagfiles import TRAIN_FLAGFILE
from kliep_tf.experiments.running.stages import Stage

# What is compared; also the names of directories.
METHODS = ("without", "with")

# Fields of the demo that, where given, override the train flagfile.
_TRAIN_OVERRIDES = (
    "steps",
    "batch_size",
    "generator_filters",
    "discriminator_filters",
    "num_residual_blocks",
    "source_weight_exponent",
    "target_weight_exponent",
)


@dataclasses.dataclass(frozen=True)
class DemoConfig:
    """The flags of this program."""

    output_dir: str = cli.flag("where everything goes, the report included")
    train_flagfile: str = cli.flag(
        f"flags of kliep_tf.train; by default {TRAIN_FLAGFILE} of this "
        "checkout",
        default="",
        affects_output=False,
    )
    num_source: int = cli.flag("rendered frames", default=300)
    num_target: int = cli.flag("camera frames to train on", default=300)
    num_val: int = cli.flag("camera frames to test the judge on", default=100)
    image_height: int = cli.flag("of all frames, in pixels", default=64)
    image_width: int = cli.flag("of all frames, in pixels", default=128)
    steps: int | None = cli.flag(
        "CycleGAN steps, of each of the two runs; by default the flagfile's",
        default=None,
    )
    batch_size: int | None = cli.flag(
        "images of each domain in a CycleGAN step; by default the flagfile's",
        default=None,
    )
    generator_filters: int | None = cli.flag(
        "channels of the generators; by default the flagfile's",
        default=None,
    )
    discriminator_filters: int | None = cli.flag(
        "channels of the discriminators; by default the flagfile's",
        default=None,
    )
    num_residual_blocks: int | None = cli.flag(
        "of each generator; by default the flagfile's",
        default=None,
    )
    source_weight_exponent: float | None = cli.flag(
        "of the run with weights; by default the flagfile's", default=None
    )
    target_weight_exponent: float | None = cli.flag(
        "of the run with weights; by default the flagfile's", default=None
    )
    segmenter_steps: int = cli.flag(
        "steps of the segmenter whose class shares are compared; it learns "
        "from the source's labels alone",
        default=600,
    )
    judge_steps: int = cli.flag(
        "steps of the segmenter that judges the translations; it learns from "
        "the camera's labels",
        default=600,
    )
    judge_color_jitter: float = cli.flag(
        "strength of random colours in the judge's training", default=0.5
    )
    min_ess: float = cli.flag(
        "least effective sample size of the weights, as a share of the images",
        default=0.3,
    )
    bandwidth: str = cli.flag(
        "of the weights' kernel: auto or a number", default="auto"
    )
    seed: int = cli.flag("of the city and of every training", default=0)


def plan(config: DemoConfig, train_flagfile: Path) -> list[Stage]:
    """Returns all programs that the demo runs, in order."""
    return [
        *_data_stages(config),
        *_weights_stages(config),
        *_gan_stages(config, train_flagfile),
        *_judge_stages(config),
    ]


def paths(config: DemoConfig) -> dict[str, str]:
    """Returns where each stage's output lies, by name."""
    names = {
        "city": "city",
        "gta5": "city/gta5",
        "gta5_scenes": "city/gta5/scenes.csv",
        "cityscapes": "city/cityscapes",
        "cityscapes_scenes": "city/cityscapes/scenes.csv",
        "source_records": "records/gta5",
        "target_records": "records/cityscapes",
        "target_train": "records/cityscapes/train-*",
        "target_val": "records/cityscapes/val-*",
        "segmenter": "segmenter",
        "segmenter_model": f"segmenter/{runs.SAVED_MODEL}",
        "weights": "weights",
        "judge": "judge",
        "judge_model": f"judge/{runs.SAVED_MODEL}",
        "judged_val": "judged/camera_val",
        "judged_source": "judged/source",
    }
    for method in METHODS:
        names[f"train_{method}"] = f"train/{method}"
        names[f"train_{method}_model"] = f"train/{method}/{runs.SAVED_MODEL}"
        names[f"translated_{method}"] = f"translated/{method}"
        names[f"judged_{method}"] = f"judged/{method}"
    root = Path(config.output_dir)
    return {name: str(root / path) for name, path in names.items()}


def _data_stages(config: DemoConfig) -> list[Stage]:
    at = paths(config)
    stages = [
        Stage(
            "render",
            "draw the city twice: as rendered, as a camera sees it",
            "tfrecords_tools.render_demo",
            _flags(
                output_dir=at["city"],
                num_source=config.num_source,
                num_target=config.num_target,
                num_val=config.num_val,
                image_height=config.image_height,
                image_width=config.image_width,
                seed=config.seed,
            ),
        ),
        Stage(
            "convert_source",
            "convert the rendered frames",
            "tfrecords_tools.convert_gta5",
            _flags(
                input_dir=at["gta5"],
                output_dir=at["source_records"],
                split="all",
            ),
        ),
    ]
    for split in ("train", "val"):
        stages.append(
            Stage(
                f"convert_camera_{split}",
                f"convert the camera's {split} frames",
                "tfrecords_tools.convert_cityscapes",
                _flags(
                    input_dir=at["cityscapes"],
                    output_dir=at["target_records"],
                    split=split,
                ),
            )
        )
    return stages


def _weights_stages(config: DemoConfig) -> list[Stage]:
    at = paths(config)
    return [
        Stage(
            "segmenter",
            "train a segmenter on the rendered labels, for features",
            "kliep_tf.train_segmenter",
            _flags(
                train_records=at["source_records"],
                run_dir=at["segmenter"],
                steps=config.segmenter_steps,
                color_jitter=1.0,
                seed=config.seed,
            ),
        ),
        Stage(
            "weights",
            "estimate the importance weights of both domains",
            "kliep_tf.estimate_weights",
            _flags(
                source_records=at["source_records"],
                target_records=at["target_train"],
                weights_dir=at["weights"],
                features="segmenter_histogram",
                segmenter=at["segmenter_model"],
                bandwidth=config.bandwidth,
                min_ess=config.min_ess,
                seed=config.seed,
            ),
        ),
    ]


def _gan_stages(config: DemoConfig, flagfile: Path) -> list[Stage]:
    """The two trainings differ in their exponents and in nothing else."""
    at = paths(config)
    exponents = {
        "without": {"source_weight_exponent": 0, "target_weight_exponent": 0},
        "with": {},
    }
    stages = [
        Stage(
            f"train_{method}",
            f"train the CycleGAN {method} weights",
            "kliep_tf.train",
            (
                f"--flagfile={flagfile}",
                *_flags(
                    source_records=at["source_records"],
                    target_records=at["target_train"],
                    run_dir=at[f"train_{method}"],
                    weights_dir=at["weights"],
                    image_height=config.image_height,
                    image_width=config.image_width,
                    seed=config.seed,
                    **(_overrides(config) | exponents[method]),
                ),
            ),
        )
        for method in METHODS
    ]
    return stages + [
        Stage(
            f"translate_{method}",
            f"translate the rendered frames, trained {method} weights",
            "kliep_tf.translate",
            _flags(
                saved_model=at[f"train_{method}_model"],
                source_records=at["source_records"],
                output_dir=at[f"translated_{method}"],
                weights_dir=at["weights"],
            ),
        )
        for method in METHODS
    ]


def _judge_stages(config: DemoConfig) -> list[Stage]:
    at = paths(config)
    judged = {
        "val": ("camera frames it has not seen", at["target_val"]),
        "source": ("the rendered frames as they are", at["source_records"]),
        "without": (
            "the translation without weights",
            at["translated_without"],
        ),
        "with": ("the translation with weights", at["translated_with"]),
    }
    training = Stage(
        "judge",
        "train the judge, a segmenter, on the camera's labels",
        "kliep_tf.train_segmenter",
        _flags(
            train_records=at["target_train"],
            run_dir=at["judge"],
            steps=config.judge_steps,
            color_jitter=config.judge_color_jitter,
            seed=config.seed,
        ),
    )
    return [training] + [
        Stage(
            f"evaluate_{name}",
            f"let the judge segment {what}",
            "kliep_tf.evaluate",
            _flags(
                segmenter=at["judge_model"],
                records=records,
                output_dir=at[f"judged_{name}"],
            ),
        )
        for name, (what, records) in judged.items()
    ]


def _overrides(config: DemoConfig) -> dict[str, float]:
    """Returns the flags of the training that the demo's own flags set."""
    values = {name: getattr(config, name) for name in _TRAIN_OVERRIDES}
    return {name: value for name, value in values.items() if value is not None}


def _flags(**values: object) -> tuple[str, ...]:
    return tuple(f"--{name}={value}" for name, value in values.items())
