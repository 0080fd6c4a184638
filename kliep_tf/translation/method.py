"""What a translation method is, for programs and the training run.

A method is one folder under `translation/methods/` and one line of the
registry there. It describes itself by a `Method`: its flags, how its model is
built, what its checkpoints and exports hold, what its curves on TensorBoard
mean. Training, monitoring and export know no method; they are handed these.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import keras
import tensorflow as tf

from kliep_tf.errors import UserError

# float32 [N, H, W, 3] in [-1, 1] to the same.
Generator = Callable[..., tf.Tensor]


@dataclasses.dataclass(frozen=True)
class ImageSizes:
    """Heights and widths that networks take.

    Attributes:
        multiple: both must be multiples of it.
        least: the smallest.
    """

    multiple: int
    least: int

    def check(self, kind: str, size: tuple[int, int]) -> None:
        """Raises a UserError unless (height, width) fits.

        Args:
            kind: "image" or "crop", as in --image_height.
            size: (height, width).
        """
        for name, length in zip(("height", "width"), size, strict=True):
            if length % self.multiple or length < self.least:
                raise UserError(
                    f"--{kind}_{name}: expected a multiple of {self.multiple}, "
                    f"at least {self.least}, for the networks; found {length}"
                )

    def fit(self, size: tuple[int, int]) -> tuple[int, int]:
        """Returns (height, width), each rounded down to a multiple."""
        height, width = (side // self.multiple * self.multiple for side in size)
        return height, width


@dataclasses.dataclass(frozen=True)
class Setup:
    """What the program decides about a training, whatever the method.

    Attributes:
        image_size: (height, width) of the training images.
        global_batch_size: images of each domain in a step, on all replicas.
        num_steps: of the training, for schedules.
        dtype: Keras dtype policy of the networks.
        jit_compile: compile gradients by XLA.
        seed: of initial weights and draws.
        handed_in: what `Method.asks_for`, by name.
    """

    image_size: tuple[int, int]
    global_batch_size: int = 1
    num_steps: int = 1
    dtype: str = "float32"
    jit_compile: bool = False
    seed: int = 0
    handed_in: Mapping[str, Any] = dataclasses.field(default_factory=dict)


class Directions(NamedTuple):
    """The generators of both directions."""

    source_to_target: Generator
    target_to_source: Generator


class TranslationModel(Protocol):
    """What the training run asks of a model, whatever the method."""

    @property
    def export_generators(self) -> Directions:
        """The generators that are exported and shown on TensorBoard."""

    def train_step(self, batch: Any) -> Mapping[str, tf.Tensor]:
        """Updates the networks on this replica's share of a batch.

        Args:
            batch: an UnpairedBatch, or a LabelledUnpairedBatch for a method
                that needs source labels.

        Returns:
            Scalars of the global batch, equal on all replicas. Those under
            `discriminator/` are watched for one that dominates.
        """

    def trackables(self) -> Mapping[str, Any]:
        """Returns, by name, everything that a checkpoint must hold."""

    def learning_rates(self, step: int) -> Mapping[str, float]:
        """Returns the rates at a step, counted from 1, by tag."""


@dataclasses.dataclass(frozen=True)
class ExportableGenerator:
    """A source-to-target generator as `export` writes it.

    Attributes:
        network: of float32 images [N, H, W, 3] in [-1, 1] to the same.
        sizes: that it takes. Other images are padded to such a size.
        tiled: translates one image [1, H, W, 3] in strips of as many rows as
            its second argument, an int32 [], says. None if the generator
            cannot: its SavedModel then lacks that signature.
    """

    network: keras.Model
    sizes: ImageSizes
    tiled: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None


@dataclasses.dataclass(frozen=True)
class Method:
    """A translation method.

    Attributes:
        settings: its frozen dataclass of `cli.flag` fields, all with defaults.
            They become flags of `train`, and their values travel as one object.
        check: takes settings, whose numbers are within their flags' ranges,
            and the training's Setup; raises a UserError where they do not fit.
        build: takes the same and returns the model, compiled with its
            optimizers. Called under the strategy's scope.
        restore: takes a checkpoint's path without .index, settings, and
            whether to prefer averaged weights where they are kept. Returns the
            source-to-target generator, in float32.
        sizes: of the training images.
        descriptions: what each of its scalars is, by tag; see
            `kliep_tf.training.scalars`.
        compared_by: tags of the scalars that tell its runs apart in
            TensorBoard's table of hyperparameters.
        advice: what may help against a discriminator that dominates.
        discriminator_unit: takes settings; returns how many times CycleGAN's
            halved loss of one scale a discriminator's is.
        needs_source_labels: batches carry the labels of the source images.
        asks_for: names of what the program hands in by `Setup.handed_in`.
        files: takes settings; returns the files that they name, for
            fingerprints.
    """

    settings: type
    check: Callable[[Any, Setup], None]
    build: Callable[[Any, Setup], TranslationModel]
    restore: Callable[[str, Any, bool], ExportableGenerator]
    sizes: ImageSizes
    descriptions: Mapping[str, str]
    compared_by: tuple[str, ...] = ()
    advice: str = "a lower --learning_rate may help"
    discriminator_unit: Callable[[Any], float] = lambda settings: 1.0
    needs_source_labels: bool = False
    asks_for: tuple[str, ...] = ()
    files: Callable[[Any], list[str]] = lambda settings: []
