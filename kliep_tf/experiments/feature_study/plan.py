"""What the study of features compares: its flags, features and settings."""

import dataclasses
from collections.abc import Sequence

from kliep_tf import cli, fingerprints
from kliep_tf.data.records import resolve_records
from kliep_tf.density_ratio.embedding import BACKBONES, require_weights
from kliep_tf.errors import UserError
from kliep_tf.segmentation.consistency import SKY_TO_VEGETATION


@dataclasses.dataclass(frozen=True)
class FeatureStudyConfig:
    """The flags of this program."""

    output_dir: str = cli.flag("where everything goes, the tables included")
    source_records: str = cli.flag(
        "labelled rendered images: a directory or a glob",
        read_as="source records",
    )
    target_records: str = cli.flag(
        "labelled camera images; the labels judge, and only class_histogram "
        "and layout see them",
        read_as="target records",
    )
    source_scenes: str = cli.flag(
        "scenes.csv of the source, as render_demo writes it, with true ratios",
        default="",
    )
    target_scenes: str = cli.flag("scenes.csv of the target", default="")
    second_target_records: str = cli.flag(
        "another labelled target, such as photographs, of which no true ratio "
        "is known",
        default="",
        read_as="second_target records",
    )
    translated_records: str = cli.flag(
        "the source after one round of translation: a segmenter trained on it "
        "is compared as well",
        default="",
        read_as="translated records",
    )
    embedding_weights: str = cli.flag(
        "weights of --embedding_backbone; without them the embedding is left "
        "out, as random weights would say nothing",
        default="",
    )
    embedding_backbone: str = cli.flag(
        "the network of the embedding",
        default="mobilenet_v2",
        choices=sorted(BACKBONES),
    )
    features: tuple[str, ...] | None = cli.flag(
        "which of the features, by the names in features.json; by default all",
        default=None,
    )
    settings: tuple[str, ...] | None = cli.flag(
        "which of the settings, by the names in features.json; by default all",
        default=None,
    )
    watched_label: str = cli.flag(
        "a class of the labels whose weighted share is shown; left out where "
        "the records do not have it",
        default=SKY_TO_VEGETATION.label,
    )
    segmenter_steps: int = cli.flag(
        "training steps of each segmenter", default=1200
    )
    seed: int = cli.flag("of segmenters and folds", default=0)


@dataclasses.dataclass(frozen=True)
class Variant:
    """One kind of features.

    Attributes:
        name: short and unique; file names are made of it.
        title: for people.
        extractor: a name in EXTRACTORS.
        target_labels: whether the target's labels are looked at.
        segmenter: which of SEGMENTERS predicts, if any.
        source_seen_translated: whether the source's features are of its
            translated images.
    """

    name: str
    title: str
    extractor: str
    target_labels: bool = False
    segmenter: str = ""
    source_seen_translated: bool = False


# What a segmenter is trained on: (which records, strength of random colours).
SEGMENTERS = {
    "augmented": ("source", 1.0),
    "plain": ("source", 0.0),
    "translated": ("translated", 1.0),
}

_HISTOGRAM = "segmenter_histogram"
# Also what every estimate is judged by.
LABELS = Variant("labels", "labels", "class_histogram", True)
VARIANTS = (
    LABELS,
    Variant("layout", "labels on a 4x4 grid", "layout", True),
    Variant(
        "segmenter",
        "segmenter",
        _HISTOGRAM,
        segmenter="augmented",
    ),
    Variant(
        "segmenter_plain",
        "segmenter, no random colours",
        _HISTOGRAM,
        segmenter="plain",
    ),
    Variant(
        "segmenter_translated",
        "segmenter of translated source",
        _HISTOGRAM,
        segmenter="translated",
    ),
    Variant(
        "segmenter_both_translated",
        "segmenter and source translated",
        _HISTOGRAM,
        segmenter="translated",
        source_seen_translated=True,
    ),
    Variant("thumbnail", "thumbnail", "thumbnail"),
    Variant("embedding", "embedding", "embedding"),
)


@dataclasses.dataclass(frozen=True)
class Setting:
    """How the width of the kernel is found.

    Attributes:
        name: short and unique; file names are made of it.
        title: for people.
        selection: how widths are scored, or "" for a fixed one.
        min_ess: floor of the selection.
        width: a fixed one, in units of the median distance between the
            points whose density is the ratio's numerator.
    """

    name: str
    title: str
    selection: str = ""
    min_ess: float = 0.0
    width: float | None = None


_FLOORS = {"nwj": (0.0, 0.05, 0.1, 0.2, 0.3), "lcv": (0.05,)}
SETTINGS = (
    *(
        Setting(
            f"{score}_{100 * floor:.0f}",
            f"{score}, ESS >= {100 * floor:g} %" if floor else score,
            score,
            floor,
        )
        for score, floors in _FLOORS.items()
        for floor in floors
    ),
    *(
        Setting(f"width_{width:g}", f"{width:g} x median", width=width)
        for width in (0.3, 0.5, 1.0, 2.0)
    ),
)
# What estimate_weights does where nothing else is asked for.
DEFAULT_SETTING = "nwj_20"


def targets(config: FeatureStudyConfig) -> list[str]:
    """Returns which targets there are, as `resolve_inputs` names them."""
    return ["target"] + ["second_target"] * bool(config.second_target_records)


def variants(config: FeatureStudyConfig, target: str) -> list[Variant]:
    """Returns the features that the flags ask for and allow.

    The translation was one into the looks of the first target; for the second
    it says nothing.
    """
    translated = config.translated_records and target == "target"
    return [
        variant
        for variant in VARIANTS
        if (translated or variant.segmenter != "translated")
        and (config.embedding_weights or variant.extractor != "embedding")
        and (config.features is None or variant.name in config.features)
    ]


def settings(config: FeatureStudyConfig) -> list[Setting]:
    """Returns the settings that the flags ask for."""
    asked = config.settings
    return [s for s in SETTINGS if asked is None or s.name in asked]


def records_of(variant: Variant, domain: str) -> str:
    """Returns which records are read for the features of a domain."""
    if variant.source_seen_translated and domain == "source":
        return "translated"
    return domain


def needs_target_labels(variant_name: str) -> bool:
    """Whether the features look at the target's labels."""
    return next(v.target_labels for v in VARIANTS if v.name == variant_name)


def title_of(variant_name: str) -> str:
    """Returns what the features are called, for people."""
    return next(v.title for v in VARIANTS if v.name == variant_name)


def resolve_inputs(config: FeatureStudyConfig) -> dict[str, list[str]]:
    """Returns the shards by name: source, target, second_target, translated.

    Raises:
        UserError: a flag names nothing, or one of two that belong together is
            missing.
    """
    if bool(config.source_scenes) != bool(config.target_scenes):
        raise UserError(
            f"--source_scenes={config.source_scenes} "
            f"--target_scenes={config.target_scenes}: expected both or neither"
        )
    if config.embedding_weights:
        require_weights(config.embedding_weights, config.embedding_backbone)
    cli.require_positive(config, "segmenter_steps")
    _require_known("features", config.features, VARIANTS)
    _require_known("settings", config.settings, SETTINGS)
    _require_possible(config)
    names = ("source", "target", "second_target", "translated")
    flags = {name: getattr(config, f"{name}_records") for name in names}
    return {
        name: resolve_records(value, f"{name}_records")
        for name, value in flags.items()
        if value
    }


def input_fingerprints(
    config: FeatureStudyConfig, shards: dict[str, list[str]]
) -> dict[str, str]:
    """Returns what the study's config.json keeps of its inputs."""
    found: dict[str, str] = {
        f"{name} records": fingerprints.of(paths)
        for name, paths in shards.items()
    }
    for name in ("source_scenes", "target_scenes", "embedding_weights"):
        if path := getattr(config, name):
            found[name.replace("_", " ")] = fingerprints.of([path])
    return found


def _require_possible(config: FeatureStudyConfig) -> None:
    """Raises a UserError for features that are asked for and cannot be had."""
    asked = config.features or ()
    possible = [variant.name for variant in variants(config, "target")]
    for name in asked:
        if name not in possible:
            embedding = name == "embedding"
            flag = "embedding_weights" if embedding else "translated_records"
            raise UserError(
                f"--features={','.join(asked)}: expected --{flag} "
                f"with {name}, found none"
            )
    if not all(variants(config, target) for target in targets(config)):
        raise UserError(
            f"--features={','.join(asked)}: expected some that "
            "--second_target_records can be compared by, found those of "
            "--translated_records alone"
        )


def _require_known(
    flag: str,
    asked: tuple[str, ...] | None,
    known: Sequence[Variant] | Sequence[Setting],
) -> None:
    names = [item.name for item in known]
    if asked is None:
        return
    if not asked:
        raise UserError(
            f"--{flag}=: expected some of {', '.join(names)}, found none"
        )
    for name in asked:
        if name not in names:
            raise UserError(
                f"--{flag}={','.join(asked)}: expected some of "
                f"{', '.join(names)}, found {name!r}"
            )
