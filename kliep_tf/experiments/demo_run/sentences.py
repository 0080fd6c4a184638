"""What the demo's numbers allow to say."""

from collections.abc import Mapping
from typing import Any

from kliep_tf.experiments.reporting.consistency import watched_keys
from kliep_tf.experiments.reporting.templates import Texts, percent
from kliep_tf.segmentation.consistency import SKY_TO_VEGETATION

# The rendered city has both classes.
WATCHED = SKY_TO_VEGETATION
KEYS = watched_keys(WATCHED)

# Differences below this, one percentage point, are called none: one training
# a method says no more, and often less.
NOTABLE = 0.01

# What the methods are compared by, all of it against the source's labels: name
# in report.json, name for people, whether more is better.
MEASURES = (
    (KEYS.kept, f"{WATCHED.label} still seen as {WATCHED.label}", True),
    (KEYS.turned, f"{WATCHED.label} turned into {WATCHED.prediction}", False),
    ("mean_iou", "mean IoU", True),
    ("pixel_accuracy", "pixel accuracy", True),
)
_VERDICTS = ("better", "worse", "no different")


def texts() -> Texts:
    """Returns the prose of the demo's report."""
    return Texts("demo")


def verdict(
    without: float | None, with_weights: float | None, more_is_better: bool
) -> str | None:
    """Returns "better", "worse" or "no different", of the run with weights.

    None where one of the numbers is undefined.
    """
    if without is None or with_weights is None:
        return None
    gain = with_weights - without
    if abs(gain) < NOTABLE:
        return "no different"
    return "better" if (gain > 0) == more_is_better else "worse"


def comparison_sentences(
    without: Mapping[str, Any], with_weights: Mapping[str, Any]
) -> list[str]:
    """Returns one sentence a measure; the first sums them up.

    Args:
        without: `consistency_numbers` of the run without weights.
        with_weights: the same of the run with weights.
    """
    found: dict[str, list[str]] = {name: [] for name in _VERDICTS}
    sentences = []
    for key, name, more_is_better in MEASURES:
        pair = without[key], with_weights[key]
        result = verdict(*pair, more_is_better)
        if result is not None:
            found[result].append(name)
        sentences.append(texts().say("comparison", name, *pair, result))
    found = {result: names for result, names in found.items() if names}
    return [texts().say("summary", found), *sentences]


def watched_sentence(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns what became of the sky in both translations."""
    both = rows["without"], rows["with"]
    return texts().say(
        "watched",
        WATCHED.label,
        WATCHED.prediction,
        kept=[row[KEYS.kept] for row in both],
        turned=[row[KEYS.turned] for row in both],
    )


def translation_sentence(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns whether translating helped the judge at all.

    A translation that changes nothing keeps every label, so consistency alone
    does not show that the frames have become more like the camera's.

    Args:
        rows: `consistency_numbers` of source, without and with.
    """
    before, *after = (
        rows[name]["mean_iou"] for name in ("source", "without", "with")
    )
    verdicts = [verdict(before, each, more_is_better=True) for each in after]
    return texts().say("translation", before, *after, verdicts)


def judge_sentence(judge: Mapping[str, Any]) -> str:
    """Returns how far the judge can be trusted."""
    return texts().say(
        "judge",
        WATCHED.label,
        WATCHED.prediction,
        judge["mean_iou"],
        judge["pixel_accuracy"],
        judge[KEYS.kept],
        judge[KEYS.turned],
    )


def distance_sentence(distances: Mapping[str, float]) -> str:
    """Returns whether the weighted training compared like with like."""
    before, after = distances["unweighted"], distances["as_trained"]
    result = verdict(before, after, more_is_better=False)
    return texts().say(
        "distance", before, distances["source_weighted"], after, result
    )


def headlines(numbers: Mapping[str, Any]) -> list[str]:
    """Returns the lines that the demo ends with."""
    rows = numbers["consistency"]
    lines = [
        f"{name}: {percent(rows['source'][key])} untranslated, "
        f"{percent(rows['without'][key])} translated without weights, "
        f"{percent(rows['with'][key])} with weights"
        for key, name, _ in MEASURES[:3]
    ]
    judge = percent(numbers["judge"]["mean_iou"])
    lines.append(f"the judge's own mean IoU on new camera frames: {judge}")
    return [*lines, numbers["sentences"][0]]
