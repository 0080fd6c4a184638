"""What estimate_weights compares, found by what the records have.

`--features=auto` compares class shares, each domain's by the best way that
there is: its labels; a `--segmenter` that is given; a segmenter that learned
from those of its images that are labelled; or one that learned from the other
domain, which is trusted only where it shows no sign of doubt.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping

import numpy as np

from kliep_tf.data.class_sets import ClassSet
from kliep_tf.data.features import Features
from kliep_tf.data.tensors import read_tensors
from kliep_tf.density_ratio.doubt import Sign
from kliep_tf.density_ratio.extraction import Extractor, Network
from kliep_tf.density_ratio.extractors import EXTRACTORS, require_inputs
from kliep_tf.density_ratio.image_features import SEGMENTER_HISTOGRAM
from kliep_tf.density_ratio.label_features import CLASS_HISTOGRAM
from kliep_tf.errors import UserError
from kliep_tf.estimate_extraction import OTHER, FeatureFiles
from kliep_tf.estimate_flags import AUTO, EstimateConfig
from kliep_tf.estimate_segmenters import (
    Shards,
    may_have_labels,
    offer_inputs,
    teacher_model,
    train_teacher,
)
from kliep_tf.segmentation.inference import load_segmenter

# Fewer labelled images teach a segmenter nothing that can be relied on.
LEAST_LABELLED = 5

# Whose segmenter it is where neither domain has taught it.
_GIVEN = "given"


@dataclasses.dataclass(frozen=True)
class FoundFeatures:
    """Both domains' features, and what to know of them.

    Attributes:
        source: of the source domain.
        target: of the target domain.
        scaling: the `scaling.SCALINGS` that suits them.
        how: how they were found and why, sentences for the report.
        label_shares: class shares by labels, by domain; NaN where an image
            has none.
        signs: of doubt, where a segmenter saw a domain that it had not
            learned from; else empty.
    """

    source: Features
    target: Features
    scaling: str
    how: tuple[str, ...]
    label_shares: Mapping[str, Features]
    signs: tuple[Sign, ...] = ()

    @property
    def both_labelled(self) -> bool:
        """Whether all images of both domains have labels."""
        return all(
            num_labelled(shares) == len(shares.values)
            for shares in self.label_shares.values()
        )


def require_features(config: EstimateConfig, shards: Shards) -> None:
    """Raises a UserError, before anything is written, for what is missing."""
    if config.segmenter_backbone:
        read_tensors(config.segmenter_backbone)
    if config.features != AUTO:
        require_inputs(
            EXTRACTORS[config.features], offer_inputs(config, shards)
        )
        return
    may_be_labelled = any(map(may_have_labels, shards.values()))
    if not config.segmenter and not may_be_labelled:
        raise UserError(
            f"--features={AUTO}: expected labels in "
            f"--source_records={config.source_records}, or a --segmenter, "
            "found neither; thumbnail and embedding need no label"
        )


def find_features(
    config: EstimateConfig, shards: Shards, classes: ClassSet
) -> FoundFeatures:
    """Returns both domains' features; those saved earlier are not redone."""
    finder = _Finder(config, shards, classes)
    return finder.automatic() if config.features == AUTO else finder.as_asked()


class _Finder:
    """Decides what describes each domain, and has it extracted."""

    def __init__(
        self, config: EstimateConfig, shards: Shards, classes: ClassSet
    ):
        self._config = config
        self._shards = shards
        self._files = FeatureFiles(config, shards, classes)

    def as_asked(self) -> FoundFeatures:
        """Returns the features that --features names."""
        extractor = EXTRACTORS[self._config.features]
        inputs = offer_inputs(self._config, self._shards)
        network = functools.cache(
            lambda: extractor.prepare(inputs, self._files.image_size)
        )
        # Only SEGMENTER_HISTOGRAM looks at it, and takes the one given.
        segmenter = self._segmenter_of("source")
        source, target = (
            self._files.features(name, extractor, network, segmenter)
            for name in OTHER
        )
        predicted = extractor is SEGMENTER_HISTOGRAM
        return FoundFeatures(
            source,
            target,
            extractor.scaling,
            (f"Both domains are compared by {extractor.name}, as asked.",),
            self._shares_beside(extractor, source, target),
            self._files.signs(network, "target") if predicted else (),
        )

    def _shares_beside(
        self, extractor: Extractor, source: Features, target: Features
    ) -> dict[str, Features]:
        """Returns class shares by labels; features that are these serve."""
        if extractor is not CLASS_HISTOGRAM:
            return {name: self._files.label_shares(name) for name in OTHER}
        return {
            name: self._files.kept(
                f"{name}_label_shares", functools.partial(_same, features)
            )
            for name, features in (("source", source), ("target", target))
        }

    def automatic(self) -> FoundFeatures:
        """Returns class shares, each domain's by the best way there is."""
        shares = {name: self._files.label_shares(name) for name in OTHER}
        found: dict[str, Features] = {}
        how: list[str] = []
        # Of both, the target: its predictions meet labels of the source.
        doubted: tuple[str, Callable[[], Network]] | None = None
        for domain, known in shares.items():
            if num_labelled(known) == len(known.values):
                how.append(f"The {domain} is described by its labels.")
                found[domain] = self._files.kept(
                    f"{domain}_features", functools.partial(_same, known)
                )
                continue
            teacher = self._teacher(domain, shares)
            network = functools.cache(functools.partial(self._learned, teacher))
            how.append(self._describe(domain, teacher, known))
            found[domain] = self._files.features(
                domain,
                SEGMENTER_HISTOGRAM,
                network,
                self._segmenter_of(teacher),
            )
            if teacher != domain:
                doubted = domain, network
        signs = self._files.signs(doubted[1], doubted[0]) if doubted else ()
        return FoundFeatures(
            found["source"],
            found["target"],
            CLASS_HISTOGRAM.scaling,
            tuple(how),
            shares,
            signs,
        )

    def _teacher(self, domain: str, shares: Mapping[str, Features]) -> str:
        """Returns whose segmenter describes a domain: its own where it can."""
        if self._config.segmenter:
            return _GIVEN
        for teacher in (domain, OTHER[domain]):
            if num_labelled(shares[teacher]) >= LEAST_LABELLED:
                return teacher
        raise UserError(
            f"--features={AUTO}: expected {LEAST_LABELLED} labelled images of "
            f"a domain to train a segmenter on, found "
            + " and ".join(
                f"{num_labelled(known)} of the {name}"
                for name, known in shares.items()
            )
            + "; thumbnail and embedding need no label"
        )

    def _learned(self, teacher: str) -> Network:
        if teacher != _GIVEN:
            train_teacher(self._config, teacher, self._files.image_size)
        path = self._segmenter_of(teacher)
        return load_segmenter(path, self._files.classes)

    def _segmenter_of(self, teacher: str) -> str:
        """Returns where the segmenter is, given or trained."""
        config = self._config
        return config.segmenter or teacher_model(config.weights_dir, teacher)

    def _describe(self, domain: str, teacher: str, known: Features) -> str:
        """Returns the sentence of the report about one domain's features."""
        number = num_labelled(known)
        has = f"{number} labelled images" if number else "no labels"
        if teacher == _GIVEN:
            way = f"the segmenter given, {self._config.segmenter}"
        elif teacher == domain:
            way = "a segmenter that learned from these"
        else:
            way = f"a segmenter that learned from the {teacher}'s labels"
        return (
            f"The {domain} has {has} among {len(known.values)}: it is "
            f"described by {way}."
        )


def num_labelled(shares: Features) -> int:
    """Returns how many images have class shares that are not NaN."""
    return int(np.isfinite(shares.values).all(axis=1).sum())


def _same(features: Features) -> Features:
    return features
