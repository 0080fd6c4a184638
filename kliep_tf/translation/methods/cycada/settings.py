"""The flags of CyCADA: CycleGAN's and its own."""

import dataclasses

from kliep_tf import cli
from kliep_tf.errors import UserError
from kliep_tf.translation.method import Setup
from kliep_tf.translation.methods.cyclegan.settings import (
    CycleGANSettings,
    check_settings,
)

# What the program hands in: a function that returns a `model.TaskSegmenter`,
# called under the strategy's scope.
TASK_SEGMENTER = "task_segmenter"


@dataclasses.dataclass(frozen=True, kw_only=True)
class CyCADASettings(CycleGANSettings):
    """What decides a CyCADA; its fields are flags of `train`."""

    task_segmenter: str = cli.flag(
        "segmentation SavedModel that learned from the source's labels, such "
        "as train_segmenter writes. By default that of the weights is taken: "
        "--segmenter, or segmenter/ in the weights directory, where it is "
        "trained if it is missing",
        default="",
        read_as="task segmenter",
        from_store=True,
    )
    semantic_weight: float = cli.flag(
        "weight of both semantic losses; 0 leaves them out, which is CycleGAN",
        default=1.0,
        minimum=0,
    )
    semantic_warmup_steps: int = cli.flag(
        "steps of CycleGAN alone, before the semantic losses begin",
        default=0,
        minimum=0,
    )


def check_cycada_settings(settings: CyCADASettings, setup: Setup) -> None:
    """Raises a UserError for settings that do not fit the training."""
    check_settings(settings, setup)
    if settings.semantic_warmup_steps >= setup.num_steps:
        raise UserError(
            f"--semantic_warmup_steps={settings.semantic_warmup_steps}: "
            f"expected fewer than --steps={setup.num_steps}"
        )
