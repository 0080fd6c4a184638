"""The systems of Table I by name, and rows as words that name them.

    [NAME=]TRANSLATION[:WEIGHTING][+ADAPTATION[:WEIGHTING]]
    [NAME=]ADAPTATION[:WEIGHTING]

`cycada+adda` trains segmenters on CyCADA's translations and adapts them by
ADDA; `adaptsegnet` adapts segmenters of the source as it is; `unit:overlap` is
UNIT with overlap weights (`weightings` has all forms). What a system is trained
with, but for records, seed, sizes and weights, stands in its flagfile.

CyCADA and ADDA begin with a segmenter. It is in both cases that of the row's
own recipe and seed: CyCADA's is the one of "no adaptation", ADDA's the one of
the same row without ADDA. So a row's systems share one recipe of segmenters,
and the table trains none besides those that it shows.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from kliep_tf.errors import UserError
from kliep_tf.experiments.comparison.recipes import ADAPT_SEGMENTER, Training
from kliep_tf.experiments.comparison.rows import Row
from kliep_tf.experiments.comparison.setting import TRAIN
from kliep_tf.experiments.comparison.weightings import (
    Weighting,
    by_exponents,
    parse_weighting,
)
from kliep_tf.experiments.running.flagfiles import find_flagfile
from kliep_tf.experiments.running.jobs import FlagValue, Tensors


@dataclasses.dataclass(frozen=True)
class System:
    """A published system: a method of one of the two programs that train it.

    Attributes:
        title: in tables.
        module: the program, of translations or of adaptations.
        method: its `--method`; "" for the program's default.
        flagfile: its recipe at CPU size, in a checkout; "" for the one that
            `--train_flagfile` names.
        segmenter_flag: the program's flag for a trained segmenter, or "".
        flags: that tell it from another system of this method.
    """

    title: str
    module: str
    method: str = ""
    flagfile: str = ""
    segmenter_flag: str = ""
    flags: Mapping[str, FlagValue] = dataclasses.field(default_factory=dict)


SYSTEMS = {
    "cyclegan": System("CycleGAN", TRAIN),
    "cycada": System(
        "CyCADA",
        TRAIN,
        "cycada",
        "configs/cycada_city.flags",
        "task_segmenter",
    ),
    "unit": System(
        "UNIT 2018",
        TRAIN,
        "unit",
        "configs/unit_city.flags",
        flags={"unit_form": "2018"},
    ),
    "unit_2017": System(
        "UNIT 2017",
        TRAIN,
        "unit",
        "configs/unit_city.flags",
        flags={"unit_form": "2017"},
    ),
    "adaptsegnet": System(
        "AdaptSegNet",
        ADAPT_SEGMENTER,
        "adaptsegnet",
        "configs/adaptsegnet_city.flags",
    ),
    "road": System("ROAD", ADAPT_SEGMENTER, "road", "configs/road_city.flags"),
    "adda": System(
        "ADDA",
        ADAPT_SEGMENTER,
        "adda",
        "configs/adda_city.flags",
        "segmenter_run",
    ),
}
_NO_WEIGHTS = by_exponents(0.0, 0.0)
_FORM = (
    "[NAME=]SYSTEM, [NAME=]SYSTEM:WEIGHTING or two of them with a + between, a "
    "translation and an adaptation"
)


def parse_recipes(texts: Sequence[str]) -> dict[str, str]:
    """Returns the flagfiles of `SYSTEM=FLAGFILE` texts, by system.

    Raises:
        UserError: a text is of another form.
    """
    found = {}
    for text in texts:
        system, equals, flagfile = text.partition("=")
        # A CycleGAN has a flag of its own.
        known = [word for word, one in SYSTEMS.items() if one.flagfile]
        if not (equals and flagfile) or system not in known:
            raise UserError(
                f"--recipes: expected SYSTEM=FLAGFILE with a system of "
                f"{', '.join(known)}, found {text!r}"
            )
        found[system] = flagfile
    return found


def parse_rows(
    texts: Sequence[str],
    recipes: Mapping[str, str],
    teacher_weights: str = "",
) -> list[Row]:
    """Returns the rows that words describe.

    Args:
        texts: in the form at the top of this module.
        recipes: flagfiles of systems, where it is not the city's.
        teacher_weights: file of ROAD's teacher, "" for none.

    Raises:
        UserError: a text is of another form, or a flagfile is missing.
    """
    make = _Maker(recipes, teacher_weights)
    return [make.row(text) for text in texts]


class _Maker:
    """Makes rows, whose systems have these flagfiles."""

    def __init__(self, recipes: Mapping[str, str], teacher_weights: str):
        self._recipes = recipes
        self._road = _road_flags(teacher_weights)

    def row(self, text: str) -> Row:
        name, equals, words = text.rpartition("=")
        parts = [_parse_part(text, part) for part in words.split("+")]
        kinds = [SYSTEMS[system].module for system, _ in parts]
        if kinds not in ([TRAIN], [ADAPT_SEGMENTER], [TRAIN, ADAPT_SEGMENTER]):
            raise UserError(f"--rows: expected {_FORM}, found {text!r}")
        if equals and not name:
            raise UserError(f"--rows: expected a name before =, found {text!r}")
        trainings = {
            SYSTEMS[system].module: self._training(system, weights)
            for system, weights in parts
        }
        return Row(
            name or " + ".join(_title(part) for part in words.split("+")),
            translator=trainings.get(TRAIN),
            adaptation=trainings.get(ADAPT_SEGMENTER),
            system="+".join(system for system, _ in parts),
        )

    def _training(self, word: str, weights: Weighting) -> Training:
        system = SYSTEMS[word]
        flags: dict[str, FlagValue] = dict(system.flags)
        if system.method:
            flags["method"] = system.method
        if word == "road":
            flags |= self._road
        if system.module == TRAIN or weights.estimator:
            flags |= weights.flags
        flagfile = ""
        if system.flagfile:
            flagfile = find_flagfile(
                self._recipes.get(word, ""),
                system.flagfile,
                f"recipes={word}",
                system.module,
            )
        return Training(
            system.module,
            flags,
            weights.estimator,
            flagfile,
            system.segmenter_flag,
        )


def _parse_part(row: str, text: str) -> tuple[str, Weighting]:
    """Returns the system that a word names, and its weighting."""
    system, colon, words = text.partition(":")
    if system not in SYSTEMS:
        raise UserError(
            f"--rows: expected a system of {', '.join(SYSTEMS)}, found "
            f"{system!r} in {row!r}"
        )
    if not colon:
        return system, _NO_WEIGHTS
    try:
        return system, parse_weighting(words)
    except ValueError:
        raise UserError(
            f"--rows: expected the weighting A:B, two exponents, or overlap, "
            f"and perhaps :ESTIMATOR, found {words!r} in {row!r}"
        ) from None


def _title(part: str) -> str:
    """Returns "CyCADA (1,1)" for "cycada:1:1"."""
    system, _, words = part.partition(":")
    weighting = f" ({words.replace(':', ',')})" if words else ""
    return SYSTEMS[system].title + weighting


def _road_flags(teacher_weights: str) -> dict[str, FlagValue]:
    """Without a teacher, ROAD's other half is trained; its run says so."""
    if teacher_weights:
        return {"teacher_weights": Tensors(teacher_weights)}
    return {"teacher_weights": "", "distillation_weight": 0.0}
