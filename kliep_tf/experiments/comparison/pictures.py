"""Pictures of a comparison: translations, and what segmenters see."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from kliep_tf.experiments.comparison import rows
from kliep_tf.experiments.comparison.rows import Row
from kliep_tf.experiments.comparison.setting import Setting
from kliep_tf.experiments.reporting.frames import frames_across, read_frames
from kliep_tf.experiments.reporting.pages import Chart, Paragraph, Section
from kliep_tf.experiments.reporting.plots import draw_panels
from kliep_tf.experiments.reporting.templates import Texts
from kliep_tf.experiments.running.jobs import FlagValue, Job, Output, Records
from kliep_tf.segmentation.inference import (
    average_views,
    load_segmenter,
    predict_labels,
)

_NUM_FRAMES = 4
_NUM_COLUMNS = 7  # of rows, in one picture


def picture_sections(
    name: str,
    setting: Setting,
    compared: Sequence[Row],
    scored: Mapping[tuple[str, int], Job],
    cache: Path,
    val_scale: float,
) -> list[Section]:
    """Returns what translations and predictions of the first seed look like.

    Args:
        name: of the files, before what they show.
        setting: what the rows share.
        compared: the rows.
        scored: by row and seed, a finished evaluation of its segmenter.
        cache: the directory of all outputs.
        val_scale: at which segmenters see validation images.
    """
    label = setting.watched.label
    shown_seed = min(seed for _, seed in scored)
    translations = {
        row.name: _pattern(rows.images_of(setting, row, shown_seed), cache)
        for row in rows.of_own_images(compared)
    }
    segmenters = {
        row.name: scored[row.name, shown_seed].flags["segmenter"]
        for row in compared
    }
    models = {
        row: output.path(cache)
        for row, output in segmenters.items()
        if isinstance(output, Output)
    }
    title = "Source images and their translations"
    sections = [
        _pictures_section(
            f"{name}_translations",
            title,
            Texts("tables").say("translations", label),
            [
                _draw_translations(setting, group)
                for group in _in_groups(translations)
            ],
        )
    ]
    title = "What the segmenters see"
    classes = setting.classes.name.capitalize()
    sections.append(
        _pictures_section(
            f"{name}_predictions",
            title,
            Texts("tables").say("predictions", classes),
            [
                _draw_predictions(setting, group, val_scale)
                for group in _in_groups(models)
            ],
        )
    )
    return sections


def _pictures_section(
    name: str, title: str, about: str, pngs: Sequence[bytes]
) -> Section:
    files = [f"{name}.png"]
    files += [f"{name}_{number}.png" for number in range(2, len(pngs) + 1)]
    charts = [
        Chart(png, title, file) for png, file in zip(pngs, files, strict=True)
    ]
    return Section(title, [Paragraph(about), *charts])


def _in_groups(by_row: Mapping[str, str]) -> list[dict[str, str]]:
    """Returns the rows in the groups that one picture each has room for."""
    items = list(by_row.items())
    return [
        dict(items[start : start + _NUM_COLUMNS])
        for start in range(0, len(items), _NUM_COLUMNS)
    ]


def _draw_translations(
    setting: Setting, translations: Mapping[str, str]
) -> bytes:
    pattern = setting.source.pattern
    names = _frames_to_show(setting, pattern)
    colors = setting.classes.colors()
    labels = [colors[frame.label] for frame in read_frames(pattern, names)]
    columns = {
        title: [frame.image for frame in read_frames(records, names)]
        for title, records in translations.items()
    }
    return draw_panels({"labels": labels, **columns}, names)


def _draw_predictions(
    setting: Setting, models: Mapping[str, str], scale: float
) -> bytes:
    names = _frames_to_show(setting, setting.val.pattern)
    frames = read_frames(setting.val.pattern, names)
    colors = setting.classes.colors()
    columns = {
        "image": [frame.image for frame in frames],
        "labels": [colors[frame.label] for frame in frames],
    }
    for title, model in models.items():
        segmenter = average_views(load_segmenter(model), (scale,), flip=False)
        columns[title] = [
            colors[predict_labels(segmenter, frame.image[None])[0]]
            for frame in frames
        ]
    return draw_panels(columns, names)


def _frames_to_show(setting: Setting, pattern: str) -> list[str]:
    label = setting.watched.label
    return frames_across(pattern, _NUM_FRAMES, setting.classes, label)


def _pattern(images: FlagValue, cache: Path) -> str:
    if isinstance(images, Output):
        return images.path(cache)
    assert isinstance(images, Records)
    return images.pattern
