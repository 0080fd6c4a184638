"""How a row's training weighs images, as text.

    A:B[:ESTIMATOR]       weights to the powers A (source) and B (target)
    overlap[:ESTIMATOR]   overlap weights, which have no exponents

`ESTIMATOR` is one of estimate_weights; without it weights with exponents come
from kliep, overlap weights from relative_kliep, which is made for them.
"""

import dataclasses
import math
from collections.abc import Mapping

from kliep_tf.density_ratio.options import ESTIMATORS
from kliep_tf.errors import UserError

KLIEP = "kliep"
# What estimates overlap weights where nothing else is named.
RELATIVE = "relative_kliep"

_OVERLAP = "overlap"


@dataclasses.dataclass(frozen=True)
class Weighting:
    """How a training weighs images.

    Attributes:
        flags: of kliep_tf.train.
        estimator: of the weights; "" where it reads none.
    """

    flags: Mapping[str, str | float]
    estimator: str


def by_exponents(
    source_exponent: float, target_exponent: float, estimator: str = KLIEP
) -> Weighting:
    """Returns eq. 12 and its generalisation.

    Args:
        source_exponent: a of w ** a on every source term.
        target_exponent: b of psi ** b on every target term.
        estimator: of the weights.
    """
    flags = {
        "source_weight_exponent": source_exponent,
        "target_weight_exponent": target_exponent,
    }
    return Weighting(flags, estimator if any(flags.values()) else "")


def by_overlap(estimator: str = RELATIVE) -> Weighting:
    """Returns overlap weights on all terms of both domains."""
    exponents = by_exponents(1.0, 1.0).flags
    return Weighting({"weighting": _OVERLAP, **exponents}, estimator)


def parse_weighting(text: str) -> Weighting:
    """Returns what a text says.

    Raises:
        ValueError: it is of another form.
        UserError: there is no such estimator.
    """
    first, *words = text.split(":")
    if first == _OVERLAP:
        return by_overlap(*_estimator(words))
    second, *words = words
    exponents = float(first), float(second)
    if not math.isfinite(sum(exponents)):
        raise ValueError(text)
    return by_exponents(*exponents, *_estimator(words))


def _estimator(words: list[str]) -> list[str]:
    """Returns the words after the weighting: none or an estimator."""
    if len(words) > 1:
        raise ValueError(words)
    for word in words:
        if word not in ESTIMATORS:
            raise UserError(
                f"--methods: expected an estimator, one of "
                f"{', '.join(ESTIMATORS)}, found {word!r}"
            )
    return words
