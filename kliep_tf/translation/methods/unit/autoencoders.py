"""How UNIT encodes an image of a domain and decodes it as one of either."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import keras
import tensorflow as tf

from kliep_tf.translation.layer_maker import LayerMaker
from kliep_tf.translation.method import Directions, Setup
from kliep_tf.translation.methods.unit.networks import (
    SharedFormMaker,
    make_decoder,
    make_encoder,
)
from kliep_tf.translation.methods.unit.settings import UNITSettings
from kliep_tf.translation.randomness import add_noise

DOMAINS = ("source", "target")


class Code(NamedTuple):
    """What an image is encoded to.

    Attributes:
        latent: float32 [B, h, w, C], which the KL term holds near 0.
        decoded: what decoders take, of the same shape.
    """

    latent: tf.Tensor
    decoded: tf.Tensor


class Autoencoders(Protocol):
    """The autoencoders of both domains.

    Attributes:
        parts: the networks that they consist of, by name.
    """

    parts: Mapping[str, keras.Model]

    def encode(
        self, domain: str, images: tf.Tensor, seeds: tf.Tensor | None = None
    ) -> Code:
        """Encodes images [B, H, W, 3] of a domain.

        Args:
            domain: "source" or "target".
            images: float32, in [-1, 1].
            seeds: int32 [B, 2] of the noise, or None for none.
        """

    def decode(
        self, domain: str, decoded: tf.Tensor, seeds: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Decodes a Code's `decoded` as images of a domain."""


class SharedAutoencoders:
    """Of 2017: the last layer of the encoders, the decoders' first, are shared.

    The noise is added between these two; the KL term counts it.
    """

    def __init__(self, settings: UNITSettings, setup: Setup):
        """Builds the six parts."""
        make = SharedFormMaker(settings.generator_filters)
        blocks = settings.num_residual_blocks - 1
        first, second = (
            LayerMaker(setup.dtype, 4 * setup.seed + number)
            for number in range(2)
        )
        self.parts: Mapping[str, keras.Model] = {
            "source_encoder": make.encoder(blocks, first, "source_encoder"),
            "target_encoder": make.encoder(blocks, second, "target_encoder"),
            "shared_encoder": make.shared(first, "shared_encoder"),
            "shared_decoder": make.shared(second, "shared_decoder"),
            "source_decoder": make.decoder(blocks, first, "source_decoder"),
            "target_decoder": make.decoder(blocks, second, "target_decoder"),
        }

    def encode(
        self, domain: str, images: tf.Tensor, seeds: tf.Tensor | None = None
    ) -> Code:
        """See `Autoencoders`."""
        own = self.parts[f"{domain}_encoder"]([images, seeds])
        latent = self.parts["shared_encoder"]([own, seeds])
        latent = add_noise(latent, seeds)
        decoded = self.parts["shared_decoder"]([latent, seeds])
        return Code(tf.cast(latent, tf.float32), decoded)

    def decode(
        self, domain: str, decoded: tf.Tensor, seeds: tf.Tensor | None = None
    ) -> tf.Tensor:
        """See `Autoencoders`."""
        return self.parts[f"{domain}_decoder"]([decoded, seeds])


class SeparateAutoencoders:
    """Of 2018: nothing is shared; the KL term does not count the noise."""

    def __init__(self, settings: UNITSettings, setup: Setup):
        """Builds the four parts."""
        filters = settings.generator_filters
        blocks = settings.num_residual_blocks
        parts = {}
        for number, domain in enumerate(DOMAINS):
            seed = 4 * setup.seed + number
            layer = LayerMaker(setup.dtype, seed, "he_normal")
            for kind, make in (
                ("encoder", make_encoder),
                ("decoder", make_decoder),
            ):
                name = f"{domain}_{kind}"
                parts[name] = make(filters, blocks, layer, name)
        self.parts: Mapping[str, keras.Model] = parts

    def encode(
        self, domain: str, images: tf.Tensor, seeds: tf.Tensor | None = None
    ) -> Code:
        """See `Autoencoders`."""
        latent = self.parts[f"{domain}_encoder"](images)
        return Code(tf.cast(latent, tf.float32), add_noise(latent, seeds))

    def decode(
        self, domain: str, decoded: tf.Tensor, seeds: tf.Tensor | None = None
    ) -> tf.Tensor:
        """See `Autoencoders`. Decoders have no randomness of their own."""
        return self.parts[f"{domain}_decoder"](decoded)


class Translator(keras.Model):
    """Translates one domain's images to the other, without noise."""

    def __init__(self, autoencoders: Autoencoders, of: str, to: str):
        """Takes the autoencoders, whose weights it shares.

        Args:
            autoencoders: of both domains.
            of: the domain of the images.
            to: the domain that they are translated to.
        """
        super().__init__(name=f"{of}_to_{to}")
        self._autoencoders, self._of, self._to = autoencoders, of, to
        ends = (f"{of}_encoder", f"{to}_decoder")
        self._used = [
            part
            for name, part in autoencoders.parts.items()
            if name in ends or name.startswith("shared")
        ]
        self.built = True

    def call(self, images: tf.Tensor, training: Any = None) -> tf.Tensor:
        """Translates float32 [N, H, W, 3] in [-1, 1] to the same."""
        code = self._autoencoders.encode(self._of, images)
        return self._autoencoders.decode(self._to, code.decoded)


def make_autoencoders(settings: UNITSettings, setup: Setup) -> Autoencoders:
    """Returns those of the form that the settings say."""
    if settings.is_shared:
        return SharedAutoencoders(settings, setup)
    return SeparateAutoencoders(settings, setup)


def make_translators(autoencoders: Autoencoders) -> Directions:
    """Returns the generators of both directions."""
    return Directions(
        Translator(autoencoders, "source", "target"),
        Translator(autoencoders, "target", "source"),
    )
