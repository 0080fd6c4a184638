"""A method of one colour matrix a direction, which asks for all it may.

Its generators multiply and shift colours. What is labelled sky in the source is
to become as bright as the program says, and the target is to stay as it is.
"""

import dataclasses

import keras
import tensorflow as tf

from kliep_tf import cli
from kliep_tf.data.pipeline import LabelledUnpairedBatch
from kliep_tf.errors import UserError
from kliep_tf.training.distribution import all_reduce_sum
from kliep_tf.translation.losses import global_mean, mean_absolute
from kliep_tf.translation.method import (
    Directions,
    ExportableGenerator,
    ImageSizes,
    Method,
)

SKY = 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class TinySettings:
    first_rate: float = cli.flag("rate of step 1", default=0.5, above=0)
    batch_size: int = cli.flag("of another default", default=2)


class TinyModel(tf.Module):
    def __init__(self, settings, setup):
        super().__init__()
        self.setup = setup
        self.to_target, self.to_source = make_generator(), make_generator()
        self.schedule = keras.optimizers.schedules.ExponentialDecay(
            settings.first_rate, decay_steps=1, decay_rate=0.5
        )
        self.optimizer = keras.optimizers.SGD(self.schedule)
        self.optimizer.build(self._variables)

    @property
    def _variables(self):
        networks = (self.to_target, self.to_source)
        return [v for net in networks for v in net.trainable_variables]

    @property
    def export_generators(self):
        return Directions(self.to_target, self.to_source)

    def train_step(self, batch):
        batch = LabelledUnpairedBatch(*batch)
        sky = tf.cast(batch.source_label == SKY, tf.float32)
        with tf.GradientTape() as tape:
            brightness = tf.ones_like(batch.source)
            brightness *= self.setup.handed_in["brightness"]
            losses = {
                "tiny/sky": self._mean(
                    mean_absolute(
                        sky * self.to_target(batch.source), sky * brightness
                    ),
                    batch.source_weight,
                ),
                "tiny/target": self._mean(
                    mean_absolute(self.to_source(batch.target), batch.target),
                    batch.target_weight,
                ),
            }
            total = tf.add_n(list(losses.values()))
        variables = self._variables
        gradients = tape.gradient(total, [v.value for v in variables])
        self.optimizer.apply(gradients, variables)
        return all_reduce_sum(losses)

    def trackables(self):
        return {
            "to_target": self.to_target,
            "to_source": self.to_source,
            "optimizer": self.optimizer,
        }

    def learning_rates(self, step):
        return {"learning_rate/tiny": float(self.schedule(step - 1))}

    def _mean(self, losses, weights):
        return global_mean(losses, weights, self.setup.global_batch_size)


def make_generator():
    """Returns y = K x + b of every pixel; K is the identity at first."""
    return keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Conv2D(
                3,
                1,
                kernel_initializer=lambda shape, dtype: tf.eye(3)[None, None],
            ),
        ]
    )


def check(settings, setup):
    if setup.num_steps > 50:
        raise UserError(f"--steps={setup.num_steps}: expected no such patience")


def restore(checkpoint, settings, averaged):
    network = make_generator()
    reader = tf.train.Checkpoint(to_target=network)
    reader.read(checkpoint).assert_existing_objects_matched().expect_partial()
    return ExportableGenerator(network, METHOD.sizes)


METHOD = Method(
    settings=TinySettings,
    check=check,
    build=TinyModel,
    restore=restore,
    sizes=ImageSizes(multiple=1, least=1),
    descriptions={
        "tiny/": "mean absolute difference; lower is better.",
        "learning_rate/tiny": "step size of SGD, halved every step.",
    },
    compared_by=("tiny/sky",),
    needs_source_labels=True,
    asks_for=("brightness",),
)
