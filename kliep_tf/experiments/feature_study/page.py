"""The study's page: its tables and what they say, in Markdown."""

from collections.abc import Callable, Mapping
from typing import Any

from kliep_tf.experiments.feature_study.plan import (
    DEFAULT_SETTING,
    SETTINGS,
    needs_target_labels,
    title_of,
)
from kliep_tf.experiments.reporting.markdown import to_table

DIRECTIONS = ("source", "target")  # w over the source, psi over the target
_COLUMNS = (
    ("rank correlation", "rank_correlation", "{:.2f}"),
    ("error", "normalised_error", "{:.2f}"),
    ("ESS", "ess", "{:.0%}"),
    ("share distance", "share_distance", "{:.3f}"),
    ("sky", "sky", "{:.3f}"),
)
_SETTING_TITLES = {setting.name: setting.title for setting in SETTINGS}


def to_markdown(numbers: Mapping[str, Any], figure: str, command: str) -> str:
    """Returns the page.

    Args:
        numbers: what features.json holds.
        figure: the picture's file name.
        command: that made the page.
    """
    first = numbers["target"]
    parts = [
        "# Which features, at which kernel width",
        _about(numbers, command),
        f"![what the features recover]({figure})",
        f"## Each kind of features, {_SETTING_TITLES[shown_setting(first)]}",
        _features_table(first),
        *filter(None, [best_sentence(first)]),
        "## Each kind of features under each setting",
        *_matrices(first),
    ]
    if "second_target" in numbers:
        second = numbers["second_target"]
        parts += [
            "## The second target",
            f"{second['images'][0]} source and {second['images'][1]} target "
            "images. No true ratio is known; the class shares are those of "
            "the labels.",
            _features_table(second),
            *_matrices(second),
        ]
    return "\n\n".join(parts) + "\n"


def best_sentence(target: Mapping[str, Any]) -> str:
    """Returns which cell comes first among those without target labels.

    By rank correlation with the true ratio, or where it is not known by the
    share distance; each the mean of both directions. "" where all of them look
    at the target's labels.
    """
    known = target["true"] is not None
    key = "rank_correlation" if known else "share_distance"
    values = {
        (variant, setting): sum(cell[domain][key] for domain in DIRECTIONS) / 2
        for variant, settings in target["cells"].items()
        if not needs_target_labels(variant)
        for setting, cell in settings.items()
    }
    if not values:
        return ""
    best = (max if known else min)(values, key=values.get)
    what = "The highest rank correlation" if known else "The least distance"
    return (
        f"{what} without any label of the target, as a mean of both "
        f"directions: {values[best]:.3f}, by {title_of(best[0])}, "
        f"{_SETTING_TITLES[best[1]]}."
    )


def shown_setting(target: Mapping[str, Any]) -> str:
    """Returns the setting shown first: estimate_weights' own, if it was run."""
    ran = list(next(iter(target["cells"].values())))
    return DEFAULT_SETTING if DEFAULT_SETTING in ran else ran[0]


def _about(numbers: Mapping[str, Any], command: str) -> str:
    first = numbers["target"]
    lines = [
        "Made by",
        "",
        "```",
        command,
        "```",
        "",
        f"{first['images'][0]} source and {first['images'][1]} target images. "
        "Each cell is w / psi: the weights of the source images and those of "
        "the target images.",
        "",
        "Features: class shares of the labels; the same in each cell of a 4x4 "
        "grid; class shares as a segmenter predicts them that was trained on "
        "the source's labels, with strong random colours or without, or on "
        "translated source images; a thumbnail of 8x8 pixels. Settings: the "
        "width by cross-validation (nwj holds out both domains, lcv the one of "
        "the centers alone) under a floor of the effective sample size, or a "
        "multiple of the median distance.",
        "",
        "- rank correlation (Spearman) with the true density ratio",
        "- error: mean square of its difference from the true ratio, both of "
        "mean 1",
        "- ESS: effective sample size, a share of the images",
        "- share distance: total variation between the weighted domain's mean "
        "class shares and the other domain's, by the labels (which features "
        "of labels match by construction)",
        "- sky: its mean share in the weighted domain; without weights it is "
        f"{first['equal']['source']['sky']:.3f} in the source and "
        f"{first['equal']['target']['sky']:.3f} in the target, so that w "
        "should come near the latter and psi near the former",
    ]
    return "\n".join(lines)


def _features_table(target: Mapping[str, Any]) -> str:
    columns = [
        column for column in _COLUMNS if column[1] in target["equal"]["source"]
    ]
    shown = shown_setting(target)
    rows = [("equal weights", "", target["equal"])]
    for variant, settings in target["cells"].items():
        labels = "yes" if needs_target_labels(variant) else "no"
        rows.append((title_of(variant), labels, settings[shown]))
    if target["true"] is not None:
        rows.append(("the true ratio", "", target["true"]))
    head = ["features", "target labels", *(title for title, *_ in columns)]
    body = [
        [title, labels, *(_pair(cell, key, form) for _, key, form in columns)]
        for title, labels, cell in rows
    ]
    return to_table(head, body, rule="---")


def _matrices(target: Mapping[str, Any]) -> list[str]:
    """Returns a table a figure: features down, settings across."""
    parts = []
    for title, key, form in (
        *_COLUMNS[:4],
        ("width, in units of the median distance", "width", "{:.2g}"),
    ):
        if key != "width" and key not in target["equal"]["source"]:
            continue
        parts.append(f"{title[0].upper()}{title[1:]}:")
        parts.append(_matrix(target["cells"], _of_both(key, form)))
    return parts


def _matrix(
    cells: Mapping[str, Any], show: Callable[[Mapping[str, Any]], str]
) -> str:
    names = list(next(iter(cells.values())))
    return to_table(
        ["features", *(_SETTING_TITLES[name] for name in names)],
        [
            [title_of(variant), *(show(settings[name]) for name in names)]
            for variant, settings in cells.items()
        ],
        rule="---",
    )


def _of_both(key: str, form: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda cell: _pair(cell, key, form)


def _pair(cell: Mapping[str, Any], key: str, form: str) -> str:
    shown = (form.format(cell[domain][key]) for domain in DIRECTIONS)
    return " / ".join(shown).replace("%", " %")
