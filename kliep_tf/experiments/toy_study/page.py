"""Puts the toy's report together: toy.md, its figure, toy.json."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from kliep_tf.experiments.reporting.markdown import Section, write_report
from kliep_tf.experiments.toy_study import figure, sweep
from kliep_tf.experiments.toy_study.data import READINGS
from kliep_tf.experiments.toy_study.gan import GanSettings
from kliep_tf.experiments.toy_study.report import (
    Seeds,
    describe_reading,
    reading_numbers,
)

_NAME = "toy"
_TITLE = "The toy experiment: vanilla GAN and KLIEP GAN"

_ABOUT = """\
A GAN maps {vectors} vectors of {features} from U[0, 10) to look like
N(7, 0.5): Section IV.A, Table II and Fig. 3 of the paper. The KLIEP GAN
weights the generated term by w, the density ratio of the vector it was
generated from (eq. 13). Both GANs of a pair have the same data, initial
parameters and batch order: {layers} hidden layers of {units} units, linear and
SELU, in both networks, SGD of rate {generator_rate:g} for the generator and
{discriminator_rate:g} for the discriminator, {epochs} epochs of batches of
{batch}, always in the same order. Distances are SciPy's, of the flattened
values to the target's.

{command}

The paper gives 2.55 and 1.39 for the source (Wasserstein, energy) and calls its
KLIEP GAN 20 % and 15 % better than its vanilla GAN. For the distributions
themselves quadrature gives 2.560 and 1.397, the first row below; the other rows
of the paper's Table II are not repeated here.

"Under w": at the optimum of eq. 13 it is the generated distribution *under the
weights* that equals the target. With an exact ratio the weighted source is the
target already and the generator that changes nothing is optimal, so its plain
values, those of Table II, may stay where the source was. Both are shown."""

_READING_NOTES = {
    "vectors": (
        "Examples are vectors of {features}; KLIEP works in {features} "
        "dimensions, with {centers} centres and the width that "
        "cross-validation selects above an effective sample size of "
        "{min_ess:.0%}."
    ),
    "scalars": (
        "Examples are single coordinates: KLIEP in one dimension, fitted on "
        "{scalars} scalars of each sample and evaluated at all; a GAN of "
        "scalars whose batches take one coordinate of each of their vectors, "
        "another in each epoch."
    ),
}

_RULE = """\
The setting used{place} was fixed on vanilla GANs alone, without
looking at the difference between the GANs: the rates in the order that brought
them nearer to the target, the cheapest network of which none collapsed in a
trial of three seeds. The kernel's width is chosen by KLIEP's own
cross-validation. Medians, and in brackets the least and the largest, of the
first {count} seeds."""


@dataclasses.dataclass(frozen=True)
class PageInputs:
    """What the report is made of.

    Attributes:
        found: by group (a reading, or sweep/NAME), what `seed.run_seed`
            returned for each seed.
        settings: by NAME of the sweep; "default" is the one used.
        values: what the texts name: numbers of vectors and so on.
        command: Markdown, the command that made it.
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
    about = _ABOUT.format(
        **inputs.values,
        layers=used["hidden_layers"],
        units=used["hidden_units"],
        epochs=used["num_epochs"],
        batch=used["batch_size"],
        generator_rate=used["generator_rate"],
        discriminator_rate=used["discriminator_rate"],
        command=inputs.command,
    )
    drawn = figure.draw(readings)
    sections = [Section("What was run", about, drawn, "distributions")]
    for name, seeds in readings.items():
        note = _READING_NOTES[name].format(**inputs.values)
        text = f"{note}\n\n{describe_reading(seeds)}"
        sections.append(Section(f"Reading: {name}", text))
    sections.extend(_sweep(inputs))
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
    networks = sweep.describe_networks(
        {name: seeds[:count] for name, seeds in swept.items()}, inputs.settings
    )
    return [
        Section(
            "Networks and rates (vectors)",
            f"{_RULE.format(count=count, place=place)}\n\n{networks}",
        ),
        Section(
            "Kernel widths (vectors)",
            f"At the setting used, the first {len(widths)} seeds.\n\n"
            + sweep.describe_widths(widths),
        ),
    ]


def _without_histograms(seed: Mapping) -> dict:
    return {key: v for key, v in seed.items() if key != "histograms"}
