"""What may be said of the numbers of the demo's report.

Every sentence follows from the numbers; none knows which method ought to win.
"""

from collections.abc import Mapping
from typing import Any

# Differences below this, one percentage point, are called none: one training
# a method says no more, and often less.
NOTABLE = 0.01

# What the methods are compared by, all of it against the source's labels: name
# in report.json, name for people, whether more is better.
FIGURES = (
    ("sky_kept", "sky still seen as sky", True),
    ("sky_to_vegetation", "sky turned into vegetation", False),
    ("mean_iou", "mean IoU", True),
    ("pixel_accuracy", "pixel accuracy", True),
)
_VERDICTS = ("better", "worse", "no different")


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
    """Returns a sentence a figure, and one that sums them up, which is first.

    Args:
        without: `consistency_numbers` of the run without weights.
        with_weights: the same of the run with weights.
    """
    found: dict[str, list[str]] = {name: [] for name in _VERDICTS}
    sentences = []
    for key, name, more_is_better in FIGURES:
        pair = without[key], with_weights[key]
        result = verdict(*pair, more_is_better)
        if result is not None:
            found[result].append(name)
        sentences.append(_comparison(name, *pair, result))
    return [_summary(found), *sentences]


def sky_sentence(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns what became of the sky in both translations."""
    without, with_weights = rows["without"], rows["with"]
    if without["sky_kept"] is None or with_weights["sky_kept"] is None:
        return "No pixel of the source is labelled sky."
    return (
        "Of the source's sky the judge still sees "
        f"{percent(without['sky_kept'])} as sky when the translation was "
        f"trained without weights, {percent(with_weights['sky_kept'])} when "
        f"trained with them; {percent(without['sky_to_vegetation'])} and "
        f"{percent(with_weights['sky_to_vegetation'])} became vegetation."
    )


def translation_sentence(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns whether translating helped the judge at all.

    A translation that changes nothing keeps every label, so consistency alone
    does not show that the frames have become more like the camera's.

    Args:
        rows: `consistency_numbers` of source, without and with.
    """
    before = rows["source"]["mean_iou"]
    changes = [
        f"{_change(before, rows[method]['mean_iou'])} {method} weights"
        for method in ("without", "with")
    ]
    return (
        f"Against the untranslated frames' {percent(before)}, the judge's mean "
        f"IoU {' and '.join(changes)}. Translation is meant to raise it."
    )


def judge_sentence(judge: Mapping[str, Any]) -> str:
    """Returns how far the judge can be trusted."""
    return (
        "On camera frames that it has not seen, the judge itself reaches a "
        f"mean IoU of {percent(judge['mean_iou'])} and a pixel accuracy of "
        f"{percent(judge['pixel_accuracy'])}, and sees "
        f"{percent(judge['sky_kept'])} of the sky as sky and "
        f"{percent(judge['sky_to_vegetation'])} of it as vegetation. What a "
        "translation loses beyond that is content painted over, or looks "
        "that the judge cannot read."
    )


def distance_sentence(distances: Mapping[str, float]) -> str:
    """Returns whether the weighted training compared like with like."""
    before, after = distances["unweighted"], distances["as_trained"]
    result = verdict(before, after, more_is_better=False)
    end = {
        "better": "so the weighted training compared domains more alike",
        "worse": "so the weighted training compared domains less alike",
        "no different": "so the weighted training compared domains as unlike",
    }[result]
    return (
        "Distance between the two domains' class shares (total variation): "
        f"{percent(before)} unweighted, "
        f"{percent(distances['source_weighted'])} with w on the source alone, "
        f"{percent(after)} as trained, with both weights to their powers; "
        f"{end}."
    )


def headlines(numbers: Mapping[str, Any]) -> list[str]:
    """Returns the four or five lines that the demo ends with."""
    rows = numbers["consistency"]
    lines = [
        f"{name}: {percent(rows['source'][key])} untranslated, "
        f"{percent(rows['without'][key])} translated without weights, "
        f"{percent(rows['with'][key])} with weights"
        for key, name, _ in FIGURES[:3]
    ]
    judge = percent(numbers["judge"]["mean_iou"])
    lines.append(f"the judge's own mean IoU on new camera frames: {judge}")
    return [*lines, numbers["sentences"][0]]


def percent(value: float | None, digits: int = 1) -> str:
    """Returns a share as text, such as "91.2 %"."""
    return "undefined" if value is None else f"{100 * value:.{digits}f} %"


def _comparison(
    name: str,
    without: float | None,
    with_weights: float | None,
    result: str | None,
) -> str:
    if result is None:
        return f"{name[0].upper()}{name[1:]}: undefined, no such pixel occurs."
    gain = 100 * (with_weights - without)
    direction = "more" if gain > 0 else "fewer"
    end = {
        "better": f"{abs(gain):.1f} points {direction} with weights: better.",
        "worse": f"{abs(gain):.1f} points {direction} with weights: worse.",
        "no different": (
            f"{abs(gain):.1f} points apart, which counts as no difference."
        ),
    }[result]
    return (
        f"{name[0].upper()}{name[1:]}: {percent(with_weights)} with weights, "
        f"{percent(without)} without; {end}"
    )


def _summary(found: Mapping[str, list[str]]) -> str:
    parts = [
        f"{result} in {_listed(names)}"
        for result, names in found.items()
        if names
    ]
    if not parts:
        return "Nothing can be compared: no labelled pixel was judged."
    return (
        "Compared with the run without weights, the run with weights is "
        f"{'; '.join(parts)}. (Differences under {100 * NOTABLE:.0f} point "
        "count as none; one training each.)"
    )


def _listed(names: list[str]) -> str:
    if len(names) == 1:
        return names[0]
    return ", ".join(names[:-1]) + " and " + names[-1]


def _change(before: float | None, after: float | None) -> str:
    result = verdict(before, after, more_is_better=True)
    if result is None:
        return "is undefined"
    if result == "no different":
        return "stayed as it was"
    points = f"{100 * abs(after - before):.1f} points"
    return f"{'rose' if result == 'better' else 'fell'} by {points}"
