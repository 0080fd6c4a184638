"""The flags of the demo."""

import dataclasses

from kliep_tf import cli
from kliep_tf.experiments.running.flagfiles import DEMO_FLAGFILE


@dataclasses.dataclass(frozen=True)
class DemoConfig:
    """The flags of this program."""

    output_dir: str = cli.flag("where everything goes, the report included")
    train_flagfile: str = cli.flag(
        f"flags of kliep_tf.train; by default {DEMO_FLAGFILE} of this checkout",
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
