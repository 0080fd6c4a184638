"""Whether weights can be trusted, in sentences for people.

Where both domains have labels, these say whether weighting brings the domains
nearer. Where they have not, the signs of doubt must do.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from kliep_tf.density_ratio.diagnostics import matched_shares
from kliep_tf.density_ratio.doubt import Sign

ADVICE = (
    "label some twenty images of the target, or give a --segmenter that knows "
    "it (docs/weights_on_photographs.md)"
)


# Domains no farther apart than this have nothing that weights could mend.
_ALIKE = 1e-3


@dataclasses.dataclass(frozen=True)
class Movement:
    """How far the domains' mean class shares lie apart, without and with.

    Attributes:
        weighted: what carries weights, such as "the source weighted".
        before: total variation without weights.
        after: total variation with them.
    """

    weighted: str
    before: float
    after: float

    @property
    def nearer(self) -> bool:
        """Whether the weights bring the domains nearer, or keep them there."""
        return self.after < max(self.before, _ALIKE)

    def __str__(self) -> str:
        """Returns "the source weighted: nearer (0.243 to 0.080)"."""
        word = "nearer" if self.nearer else "NO nearer"
        return (
            f"{self.weighted}: {word} ({self.before:.3f} to {self.after:.3f})"
        )


def movements(
    source_shares: np.ndarray,
    target_shares: np.ndarray,
    source_weights: np.ndarray,
    target_weights: np.ndarray,
) -> tuple[Movement, ...]:
    """Returns what weighting the source, the target and both does.

    Both stand there twice: with whole weights, which may carry the domains past
    each other, and with their square roots (exponents 1 and 1/2 of training).

    Args:
        source_shares: class shares by labels [N_s, C].
        target_shares: [N_t, C].
        source_weights: w [N_s].
        target_weights: psi [N_t].
    """

    def apart(a: float, b: float) -> float:
        return total_variation(
            matched_shares(source_shares, np.power(source_weights, a)),
            matched_shares(target_shares, np.power(target_weights, b)),
        )

    before = apart(0.0, 0.0)
    return (
        Movement("the source weighted", before, apart(1.0, 0.0)),
        Movement("the target weighted", before, apart(0.0, 1.0)),
        Movement("both by exponents of 1/2", before, apart(0.5, 0.5)),
        Movement("both by exponents of 1", before, apart(1.0, 1.0)),
    )


def helps(found: Sequence[Movement]) -> bool:
    """Whether weights on each domain, and their roots on both, all help.

    Whole weights on both may exchange the domains even where they are right.
    """
    return all(movement.nearer for movement in found[:3])


def total_variation(first: np.ndarray, second: np.ndarray) -> float:
    """Returns half the sum of the differences of two distributions [C]."""
    return float(0.5 * np.abs(first - second).sum())


def describe_movements(found: Sequence[Movement]) -> str:
    """Returns a sentence, by the labels, for the head of the report."""
    return (
        "By the labels of both domains (total variation of the mean class "
        f"shares): {'; '.join(map(str, found))}."
    )


def describe_signs(signs: Sequence[Sign]) -> list[str]:
    """Returns the report's table of the signs."""
    lines = [
        "Signs of doubt, seen without labels:",
        "",
        f"| {'':51} | trained on | asked about | limit |",
        f"|{'-' * 53}|-----------:|------------:|------:|",
    ]
    for sign in signs:
        limit = "" if sign.limit is None else f"{100 * sign.limit:.0f} %"
        mark = " !" if sign.raised else ""
        lines.append(
            f"| {sign.name + mark:51} | {100 * sign.source:8.1f} % | "
            f"{100 * sign.target:9.1f} % | {limit:>5} |"
        )
    return lines


def describe_doubt(raised: Sequence[Sign]) -> str:
    """Returns one line that says what is in doubt and what to do."""
    return (
        "the features cannot be trusted, "
        f"{'; '.join(map(str, raised))}; {ADVICE}"
    )
