"""The study's page: its tables and what they say."""

from collections.abc import Callable, Mapping
from typing import Any

from kliep_tf.experiments.feature_study.plan import (
    DEFAULT_SETTING,
    SETTINGS,
    needs_target_labels,
    title_of,
)
from kliep_tf.experiments.reporting.pages import (
    Block,
    Bullets,
    Chart,
    Code,
    Paragraph,
    Section,
    Table,
)
from kliep_tf.experiments.reporting.templates import Texts

DIRECTIONS = ("source", "target")  # w over the source, psi over the target
_COLUMNS = (
    ("rank correlation", "rank_correlation", "{:.2f}"),
    ("error", "normalised_error", "{:.2f}"),
    ("ESS", "ess", "{:.0%}"),
    ("share distance", "share_distance", "{:.3f}"),
)
_SETTING_TITLES = {setting.name: setting.title for setting in SETTINGS}


def make_sections(
    numbers: Mapping[str, Any], chart: Chart, command: str, watched: str
) -> list[Section]:
    """Returns the page.

    Args:
        numbers: by target, what features.json holds.
        chart: of the whole study.
        command: that made the page.
        watched: the class whose weighted share is shown, where there is one.
    """
    first = numbers["target"]
    best = best_sentence(first)
    sections = [
        Section("", [*_about(first, command, watched), chart]),
        Section(
            "Each kind of features, " + _SETTING_TITLES[shown_setting(first)],
            [
                _features_table(first, watched),
                *([Paragraph(best)] if best else []),
            ],
        ),
        Section("Each kind of features under each setting", _matrices(first)),
    ]
    if "second_target" in numbers:
        second = numbers["second_target"]
        sections.append(
            Section(
                "The second target",
                [
                    Paragraph(_say("second", second["images"])),
                    _features_table(second, watched),
                    *_matrices(second),
                ],
            )
        )
    return sections


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
    best = (max if known else min)(values, key=lambda cell: values[cell])
    features, setting = title_of(best[0]), _SETTING_TITLES[best[1]]
    return _say("best", known, values[best], features, setting)


def shown_setting(target: Mapping[str, Any]) -> str:
    """Returns the setting shown first: estimate_weights' own, if it was run."""
    ran = list(next(iter(target["cells"].values())))
    return DEFAULT_SETTING if DEFAULT_SETTING in ran else ran[0]


def _about(
    target: Mapping[str, Any], command: str, watched: str
) -> list[Block]:
    names = ["rank_correlation", "error", "ess", "share_distance"]
    lines = [_say(name) for name in names]
    equal = target["equal"]
    if watched in equal["source"]:
        shares = [equal[domain][watched] for domain in DIRECTIONS]
        lines.append(_say("watched", watched, *shares))
    return [
        Paragraph("Made by"),
        Code(command),
        Paragraph(_say("images", target["images"])),
        Paragraph(_say("kinds")),
        Bullets(lines),
    ]


def _features_table(target: Mapping[str, Any], watched: str) -> Table:
    known = target["equal"]["source"]
    columns = [
        column
        for column in (*_COLUMNS, (watched, watched, "{:.3f}"))
        if column[1] in known
    ]
    shown = shown_setting(target)
    rows = [("equal weights", "", target["equal"])]
    for variant, settings in target["cells"].items():
        labels = "yes" if needs_target_labels(variant) else "no"
        rows.append((title_of(variant), labels, settings[shown]))
    if target["true"] is not None:
        rows.append(("the true ratio", "", target["true"]))
    return Table(
        ["features", "target labels", *(title for title, *_ in columns)],
        [
            [
                title,
                labels,
                *(_pair(cell, key, form) for _, key, form in columns),
            ]
            for title, labels, cell in rows
        ],
        numbers=False,
    )


def _matrices(target: Mapping[str, Any]) -> list[Block]:
    """Returns a table for each measure: features down, settings across."""
    blocks: list[Block] = []
    for title, key, form in (
        *_COLUMNS,
        ("width, in units of the median distance", "width", "{:.2g}"),
    ):
        if key != "width" and key not in target["equal"]["source"]:
            continue
        blocks.append(Paragraph(f"{title[0].upper()}{title[1:]}:"))
        blocks.append(_matrix(target["cells"], _of_both(key, form)))
    return blocks


def _matrix(
    cells: Mapping[str, Any], show: Callable[[Mapping[str, Any]], str]
) -> Table:
    names = list(next(iter(cells.values())))
    return Table(
        ["features", *(_SETTING_TITLES[name] for name in names)],
        [
            [title_of(variant), *(show(settings[name]) for name in names)]
            for variant, settings in cells.items()
        ],
        numbers=False,
    )


def _of_both(key: str, form: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda cell: _pair(cell, key, form)


def _pair(cell: Mapping[str, Any], key: str, form: str) -> str:
    shown = (form.format(cell[domain][key]) for domain in DIRECTIONS)
    return " / ".join(shown).replace("%", " %")


def _say(paragraph: str, *values: Any) -> str:
    return Texts("features").say(paragraph, *values)
