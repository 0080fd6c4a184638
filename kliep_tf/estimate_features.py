"""What estimate_weights compares, found by what the records have.

`--features=auto` compares class shares, each domain's by the best way that
there is: its labels; a `--segmenter` that is given; a segmenter that learned
from those of its images that are labelled; or one that learned from the other
domain, which is trusted only where it shows no sign of doubt.
"""

import dataclasses
import functools
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from kliep_tf import runs
from kliep_tf.data.class_sets import ClassSet
from kliep_tf.data.features import Features, load_features, save_features
from kliep_tf.data.index import RecordIndex, build_index, image_sizes
from kliep_tf.data.reading import has_labels, make_example_dataset
from kliep_tf.data.summaries import class_set_of, read_shard_summaries
from kliep_tf.data.tensors import read_tensors
from kliep_tf.density_ratio.doubt import Sign, compare, observe
from kliep_tf.density_ratio.extraction import (
    ExtractionSettings,
    Extractor,
    ImageSize,
    Inputs,
    Network,
)
from kliep_tf.density_ratio.extractors import EXTRACTORS, require_inputs
from kliep_tf.density_ratio.image_features import SEGMENTER_HISTOGRAM
from kliep_tf.density_ratio.label_features import (
    CLASS_HISTOGRAM,
    known_class_shares,
)
from kliep_tf.errors import UserError
from kliep_tf.estimate_flags import AUTO, MAX_WORKING_WIDTH, EstimateConfig
from kliep_tf.segmentation.inference import load_segmenter
from kliep_tf.segmenter_flags import TrainSegmenterConfig
from kliep_tf.train_segmenter import train_segmenter

# Fewer labelled images teach a segmenter nothing that can be relied on.
LEAST_LABELLED = 5

_WORKING_MULTIPLE = 8
_SIGNS = "signs.json"
_OTHER = {"source": "target", "target": "source"}
# Whose segmenter it is where neither domain has taught it.
_GIVEN = "given"
_SEGMENTER_DIRS = {"source": "segmenter", "target": "target_segmenter"}

Shards = Mapping[str, Sequence[str]]  # by domain


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
        require_inputs(EXTRACTORS[config.features], _inputs(config, shards))
        return
    may_be_labelled = any(map(_may_have_labels, shards.values()))
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


def working_size(source: RecordIndex) -> ImageSize:
    """Returns the (height, width) at which a network sees images by default."""
    height, width = max(image_sizes(source))
    scale = min(1.0, MAX_WORKING_WIDTH / width)
    height, width = (
        max(1, round(length * scale / _WORKING_MULTIPLE)) * _WORKING_MULTIPLE
        for length in (height, width)
    )
    return height, width


class _Finder:
    """Extracts features into the weights directory, or finds them there."""

    def __init__(
        self, config: EstimateConfig, shards: Shards, classes: ClassSet
    ):
        self._config = config
        self._shards = shards
        self._numbers = {
            name: len(build_index(paths)) for name, paths in shards.items()
        }
        size = config.image_height, config.image_width
        if not config.image_height:
            size = working_size(build_index(shards["source"]))
        self._settings = ExtractionSettings(classes=classes, image_size=size)

    def as_asked(self) -> FoundFeatures:
        """Returns the features that --features names."""
        extractor = EXTRACTORS[self._config.features]
        inputs = _inputs(self._config, self._shards)
        network = functools.cache(
            lambda: extractor.prepare(inputs, self._settings.image_size)
        )
        source, target = (
            self._features(name, extractor, network) for name in _OTHER
        )
        predicted = extractor is SEGMENTER_HISTOGRAM
        return FoundFeatures(
            source,
            target,
            extractor.scaling,
            (f"Both domains are compared by {extractor.name}, as asked.",),
            {name: self._label_shares(name) for name in _OTHER},
            self._signs(network, "target") if predicted else (),
        )

    def automatic(self) -> FoundFeatures:
        """Returns class shares, each domain's by the best way there is."""
        shares = {name: self._label_shares(name) for name in _OTHER}
        found: dict[str, Features] = {}
        how: list[str] = []
        signs: tuple[Sign, ...] = ()
        for domain, known in shares.items():
            if num_labelled(known) == len(known.values):
                how.append(f"The {domain} is described by its labels.")
                found[domain] = self._kept(
                    f"{domain}_features", functools.partial(_same, known)
                )
                continue
            teacher = self._teacher(domain, shares)
            network = functools.cache(functools.partial(self._learned, teacher))
            how.append(self._describe(domain, teacher, known))
            found[domain] = self._features(domain, SEGMENTER_HISTOGRAM, network)
            if teacher != domain:
                signs = self._signs(network, domain)
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
        for teacher in (domain, _OTHER[domain]):
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
        if teacher == _GIVEN:
            path = self._config.segmenter
        else:
            size = self._settings.image_size
            path = _train_segmenter(self._config, teacher, size)
        return load_segmenter(path, self._settings.classes)

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

    def _features(
        self, domain: str, extractor: Extractor, network: Callable[[], Network]
    ) -> Features:
        def extract() -> Features:
            number = self._numbers[domain]
            print(f"{extractor.name} of {number} {domain} images")
            return extractor.extract(
                make_example_dataset(self._shards[domain]),
                number,
                self._settings_of(domain, network()),
            )

        return self._kept(f"{domain}_features", extract)

    def _label_shares(self, domain: str) -> Features:
        """Returns class shares by labels, NaN for images without."""

        paths = self._shards[domain]

        def extract() -> Features:
            if not _may_have_labels(paths):
                return self._without_labels(paths)
            return known_class_shares(
                make_example_dataset(paths),
                self._numbers[domain],
                self._settings_of(domain),
            )

        return self._kept(f"{domain}_label_shares", extract)

    def _without_labels(self, paths: Sequence[str]) -> Features:
        """Returns NaN for every image and class; no record is read."""
        filenames = build_index(paths).filenames
        names = np.asarray(self._settings.classes.names)
        unknown = np.full((len(filenames), len(names)), np.nan, np.float32)
        return Features(filenames, unknown, names)

    def _signs(
        self, network: Callable[[], Network], domain: str
    ) -> tuple[Sign, ...]:
        """Returns the signs of doubt in what is predicted for a domain."""
        path = Path(self._config.weights_dir, _SIGNS)
        if not path.exists():
            seen = [
                observe(
                    network(),
                    make_example_dataset(self._shards[name]),
                    self._numbers[name],
                    self._settings_of(name),
                )
                for name in (_OTHER[domain], domain)
            ]
            signs = [dataclasses.asdict(sign) for sign in compare(*seen)]
            runs.write_atomically(path, json.dumps(signs, indent=1) + "\n")
        return tuple(Sign(**sign) for sign in json.loads(path.read_text()))

    def _settings_of(
        self, domain: str, network: Network | None = None
    ) -> ExtractionSettings:
        return dataclasses.replace(
            self._settings, flag=f"{domain}_records", network=network
        )

    def _kept(self, name: str, make: Callable[[], Features]) -> Features:
        """Returns the features of a file, which is written if missing."""
        path = Path(self._config.weights_dir, f"{name}.npz")
        if not path.exists():
            save_features(path, make())
        return load_features(path)


def num_labelled(shares: Features) -> int:
    """Returns how many images have class shares that are not NaN."""
    return int(np.isfinite(shares.values).all(axis=1).sum())


def _same(features: Features) -> Features:
    return features


def _inputs(config: EstimateConfig, shards: Shards) -> Inputs:
    """Returns what the flags offer to an extractor; nothing is loaded yet."""

    def segmenter(size: ImageSize) -> Network:
        path = config.segmenter or _train_segmenter(config, "source", size)
        classes = class_set_of([*shards["source"], *shards["target"]])
        return load_segmenter(path, classes)

    possible = config.segmenter or has_labels(shards["source"])
    return Inputs(
        shards={f"{domain}_records": shards[domain] for domain in shards},
        segmenter=segmenter if possible else None,
        embedding_weights=config.embedding_weights,
        embedding_backbone=config.embedding_backbone,
    )


def _train_segmenter(
    config: EstimateConfig, teacher: str, size: ImageSize
) -> str:
    """Trains a segmenter on a domain's labels; returns its SavedModel."""
    run_dir = os.path.join(config.weights_dir, _SEGMENTER_DIRS[teacher])
    backbone = config.segmenter_backbone
    train_segmenter(
        TrainSegmenterConfig(
            train_records=getattr(config, f"{teacher}_records"),
            run_dir=run_dir,
            labelled_only=config.features == AUTO,
            network="efficientnet_lite0" if backbone else "tiny",
            backbone_weights=backbone,
            freeze_backbone=bool(backbone),
            steps=config.segmenter_steps,
            image_height=size[0],
            image_width=size[1],
            seed=config.seed,
        )
    )
    return os.path.join(run_dir, runs.SAVED_MODEL)


def _may_have_labels(paths: Sequence[str]) -> bool:
    """Whether records may be labelled, as far as their summaries tell."""
    return any(
        summary.labelled > 0 if summary is not None else has_labels([path])
        for path, summary in read_shard_summaries(paths).items()
    )
