"""CyCADA as a method: CycleGAN's, but for what it adds."""

import dataclasses

from kliep_tf.translation.method import Setup
from kliep_tf.translation.methods.cycada.model import CyCADA
from kliep_tf.translation.methods.cycada.settings import (
    TASK_SEGMENTER,
    CyCADASettings,
    check_cycada_settings,
)
from kliep_tf.translation.methods.cyclegan import method as cyclegan

_SEMANTIC = (
    "cross-entropy in nats of what the task segmenter sees in translated {} "
    "images, against {}, times importance and --semantic_weight; 0 during "
    "--semantic_warmup_steps; lower is better."
)


def build(settings: CyCADASettings, setup: Setup) -> CyCADA:
    """Returns the model with CycleGAN's optimizers, as published."""
    model = CyCADA(settings, setup)
    cyclegan.compile_as_published(model)
    return model


METHOD = dataclasses.replace(
    cyclegan.METHOD,
    settings=CyCADASettings,
    check=check_cycada_settings,
    build=build,
    descriptions={
        **cyclegan.METHOD.descriptions,
        "semantic/source": _SEMANTIC.format("source", "their labels"),
        "semantic/target": _SEMANTIC.format(
            "target", "what it sees in the images as they are"
        ),
    },
    compared_by=(
        *cyclegan.METHOD.compared_by,
        "semantic/source",
        "semantic/target",
    ),
    needs_source_labels=True,
    asks_for=(TASK_SEGMENTER,),
)
