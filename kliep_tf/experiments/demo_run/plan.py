"""All programs that the demo runs, as jobs."""

import dataclasses

from kliep_tf import runs
from kliep_tf.experiments.demo_run.flags import DemoConfig
from kliep_tf.experiments.running.jobs import FlagValue, Job, Output

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
class Plan:
    """All jobs of the demo.

    Attributes:
        render: draws the city, in the layouts of GTA5 and Cityscapes.
        source: converts the rendered frames.
        target: converts the camera's frames, by split ("train", "val").
        segmenter: of the rendered labels, for features.
        weights: of both domains.
        trainings: of the CycleGAN, by method.
        translations: of the rendered frames, by method.
        judge: a segmenter of the camera's labels.
        evaluations: what the judge sees in "val", "source" and each method.
    """

    render: Job
    source: Job
    target: dict[str, Job]
    segmenter: Job
    weights: Job
    trainings: dict[str, Job]
    translations: dict[str, Job]
    judge: Job
    evaluations: dict[str, Job]

    @property
    def stages(self) -> dict[str, Job]:
        """The jobs in the order in which they run, by short names."""
        return {
            "render": self.render,
            "convert_source": self.source,
            **_named("convert_camera", self.target),
            "segmenter": self.segmenter,
            "weights": self.weights,
            **_named("train", self.trainings),
            **_named("translate", self.translations),
            "judge": self.judge,
            **_named("evaluate", self.evaluations),
        }


def plan(config: DemoConfig, train_flagfile: str) -> Plan:
    """Returns all programs that the demo runs."""
    render = _render(config)
    source = _converted_source(render)
    target = {
        split: _converted_target(render, split) for split in ("train", "val")
    }
    segmenter = _segmenter(config, source)
    weights = _weights(config, source, target["train"], segmenter)
    trainings = {
        method: _training(
            config, source, target["train"], weights, method, train_flagfile
        )
        for method in METHODS
    }
    translations = {
        method: _translation(source, weights, trainings[method], method)
        for method in METHODS
    }
    judge = _judge(config, target["train"])
    judged = {
        "val": (
            "camera frames it has not seen",
            Output(target["val"], "val-*"),
        ),
        "source": ("the rendered frames as they are", Output(source)),
        "without": (
            "the translation without weights",
            Output(translations["without"]),
        ),
        "with": ("the translation with weights", Output(translations["with"])),
    }
    evaluations = {
        name: _evaluation(judge, name, what, records)
        for name, (what, records) in judged.items()
    }
    return Plan(
        render,
        source,
        target,
        segmenter,
        weights,
        trainings,
        translations,
        judge,
        evaluations,
    )


def _render(config: DemoConfig) -> Job:
    return Job(
        "draw the city twice: as rendered, as a camera sees it",
        "tfrecords_tools.render_demo",
        "output_dir",
        {
            "num_source": config.num_source,
            "num_target": config.num_target,
            "num_val": config.num_val,
            "image_height": config.image_height,
            "image_width": config.image_width,
            "seed": config.seed,
        },
        place="city",
    )


def _converted_source(render: Job) -> Job:
    return Job(
        "convert the rendered frames",
        "tfrecords_tools.convert_gta5",
        "output_dir",
        {"input_dir": Output(render, "gta5"), "split": "all"},
        place="records/gta5",
        part="all",
    )


def _converted_target(render: Job, split: str) -> Job:
    return Job(
        f"convert the camera's {split} frames",
        "tfrecords_tools.convert_cityscapes",
        "output_dir",
        {"input_dir": Output(render, "cityscapes"), "split": split},
        place="records/cityscapes",
        part=split,
    )


def _segmenter(config: DemoConfig, source: Job) -> Job:
    return Job(
        "train a segmenter on the rendered labels, for features",
        "kliep_tf.train_segmenter",
        "run_dir",
        {
            "train_records": Output(source),
            "steps": config.segmenter_steps,
            "color_jitter": 1.0,
            "seed": config.seed,
        },
        place="segmenter",
    )


def _weights(
    config: DemoConfig, source: Job, target: Job, segmenter: Job
) -> Job:
    return Job(
        "estimate the importance weights of both domains",
        "kliep_tf.estimate_weights",
        "weights_dir",
        {
            "source_records": Output(source),
            "target_records": Output(target, "train-*"),
            "features": "segmenter_histogram",
            "segmenter": Output(segmenter, runs.SAVED_MODEL),
            "bandwidth": config.bandwidth,
            "min_ess": config.min_ess,
            "seed": config.seed,
        },
        place="weights",
    )


def _training(
    config: DemoConfig,
    source: Job,
    target: Job,
    weights: Job,
    method: str,
    flagfile: str,
) -> Job:
    """The two trainings differ in their exponents and in nothing else."""
    exponents: dict[str, FlagValue] = {}
    if method == "without":
        exponents = {"source_weight_exponent": 0, "target_weight_exponent": 0}
    return Job(
        f"train the CycleGAN {method} weights",
        "kliep_tf.train",
        "run_dir",
        {
            "source_records": Output(source),
            "target_records": Output(target, "train-*"),
            "weights_dir": Output(weights),
            "image_height": config.image_height,
            "image_width": config.image_width,
            "seed": config.seed,
            **_overrides(config),
            **exponents,
        },
        flagfile,
        place=f"train/{method}",
    )


def _translation(source: Job, weights: Job, training: Job, method: str) -> Job:
    return Job(
        f"translate the rendered frames, trained {method} weights",
        "kliep_tf.translate",
        "output_dir",
        {
            "saved_model": Output(training, runs.SAVED_MODEL),
            "source_records": Output(source),
            "weights_dir": Output(weights),
        },
        place=f"translated/{method}",
    )


def _judge(config: DemoConfig, target: Job) -> Job:
    return Job(
        "train the judge, a segmenter, on the camera's labels",
        "kliep_tf.train_segmenter",
        "run_dir",
        {
            "train_records": Output(target, "train-*"),
            "steps": config.judge_steps,
            "color_jitter": config.judge_color_jitter,
            "seed": config.seed,
        },
        place="judge",
    )


def _evaluation(judge: Job, name: str, what: str, records: Output) -> Job:
    folder = "camera_val" if name == "val" else name
    return Job(
        f"let the judge segment {what}",
        "kliep_tf.evaluate",
        "output_dir",
        {"segmenter": Output(judge, runs.SAVED_MODEL), "records": records},
        place=f"judged/{folder}",
    )


def _overrides(config: DemoConfig) -> dict[str, FlagValue]:
    """Returns the flags of the training that the demo's own flags set."""
    values = {name: getattr(config, name) for name in _TRAIN_OVERRIDES}
    return {name: value for name, value in values.items() if value is not None}


def _named(verb: str, jobs: dict[str, Job]) -> dict[str, Job]:
    return {f"{verb}_{name}": job for name, job in jobs.items()}
