"""Puts the toy's report together: toy.md, its plot, toy.json."""

import csv
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kliep_tf.experiments import reporting
from kliep_tf.experiments.reporting.pages import (
    Chart,
    Code,
    Paragraph,
    Section,
    Table,
    write_report,
)
from kliep_tf.experiments.reporting.templates import Texts
from kliep_tf.experiments.toy_study import plots, sweep
from kliep_tf.experiments.toy_study.data import READINGS
from kliep_tf.experiments.toy_study.gan import GanSettings
from kliep_tf.experiments.toy_study.report import (
    Seeds,
    describe_reading,
    reading_numbers,
)

_NAME = "toy"
PAGE = f"{_NAME}.md"
_TITLE = "The toy experiment: vanilla GAN and KLIEP GAN"
_PUBLISHED = Path(reporting.__path__[0], "published", "table2.csv")


@dataclasses.dataclass(frozen=True)
class PageInputs:
    """What the report is made of.

    Attributes:
        found: by group (a reading, or sweep/NAME), what `seed.run_seed`
            returned for each seed.
        settings: by NAME of the sweep; "default" is the one used.
        values: what the texts name: numbers of vectors and so on.
        command: that made it.
    """

    found: Mapping[str, Seeds]
    settings: Mapping[str, GanSettings]
    values: Mapping[str, float]
    command: str


def write_page(directory: Path, inputs: PageInputs) -> Path:
    """Writes toy.md, toy_distributions.png and toy.json; returns the page."""
    readings = {
        name: inputs.found[name] for name in READINGS if name in inputs.found
    }
    used = dataclasses.asdict(inputs.settings["default"])
    sections = [
        _about(inputs, used, plots.draw(readings)),
        *(
            Section(
                f"Reading: {name}",
                [
                    Paragraph(_say(name, inputs.values)),
                    *describe_reading(seeds),
                ],
            )
            for name, seeds in readings.items()
        ),
        *_sweep(inputs),
    ]
    numbers = {
        "settings": used,
        "readings": {
            name: reading_numbers(seeds) for name, seeds in readings.items()
        },
        "sweep": {
            name: [_without_histograms(seed) for seed in seeds]
            for name, seeds in inputs.found.items()
            if name.startswith("sweep/")
        },
    }
    return write_report(directory, _NAME, _TITLE, sections, numbers)


def _about(inputs: PageInputs, used: Mapping[str, Any], png: bytes) -> Section:
    title = "What was run"
    with _PUBLISHED.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    headers = ["", *(name.replace("_", " ") for name in header[1:])]
    return Section(
        title,
        [
            Paragraph(_say("about", inputs.values, used)),
            Code(inputs.command),
            Paragraph(_say("source")),
            Table(headers, rows, _say("published")),
            Paragraph(_say("under_weights")),
            Chart(png, title, f"{_NAME}_distributions.png"),
        ],
    )


def _sweep(inputs: PageInputs) -> list[Section]:
    swept = {
        name.removeprefix("sweep/"): seeds
        for name, seeds in inputs.found.items()
        if name.startswith("sweep/")
    }
    if not swept:
        return []
    widths = swept.pop("widths")
    place = ""
    if "vectors" in inputs.found:
        swept = {"default": inputs.found["vectors"], **swept}
        place = ", in the first line,"
    # Lines that are compared are of the same seeds.
    count = min(len(widths), *map(len, swept.values()))
    networks = sweep.networks_table(
        {name: seeds[:count] for name, seeds in swept.items()}, inputs.settings
    )
    return [
        Section(
            "Networks and rates (vectors)",
            [Paragraph(_say("sweep", count, place)), networks],
        ),
        Section(
            "Kernel widths (vectors)",
            [
                Paragraph(_say("widths", len(widths))),
                sweep.widths_table(widths),
            ],
        ),
    ]


def _say(paragraph: str, *values: Any) -> str:
    return Texts("toy").say(paragraph, *values)


def _without_histograms(seed: Mapping[str, Any]) -> dict[str, Any]:
    return {key: v for key, v in seed.items() if key != "histograms"}
