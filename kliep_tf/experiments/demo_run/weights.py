"""What the demo's report says of the importance weights."""

from collections.abc import Mapping
from typing import Any

from kliep_tf.experiments.demo_run import plots
from kliep_tf.experiments.demo_run.sentences import distance_sentence, texts
from kliep_tf.experiments.reporting.pages import (
    Chart,
    Paragraph,
    Section,
    Table,
)
from kliep_tf.experiments.reporting.templates import percent

# Classes below this in both domains only lengthen the table of shares.
_LEAST_SHARE = 0.0005


def weights_section(numbers: Mapping[str, Any], weights_png: bytes) -> Section:
    """Returns the section on the importance weights.

    Args:
        numbers: what report.json holds.
        weights_png: the plot of estimate_weights.
    """
    weights, say = numbers["weights"], texts().say
    return Section(
        "The importance weights",
        [
            Paragraph(say("weights")),
            _weights_table(weights),
            Chart(
                plots.draw_true_weights(weights),
                say("true_weights", plots.LEAST_DRAWN),
            ),
            _shares_table(numbers),
            Paragraph(distance_sentence(numbers["share_distances"])),
            Chart(weights_png, say("estimate_figure")),
        ],
    )


def _weights_table(weights: Mapping[str, Any]) -> Table:
    rows = (
        ("images", "images", "{:d}"),
        ("rank correlation with the true ratio", "rank_correlation", "{:.3f}"),
        ("error against the true ratio", "normalised_error", "{:.3f}"),
        (
            "error of equal weights",
            "normalised_error_of_equal_weights",
            "{:.3f}",
        ),
        ("effective sample size", "effective_sample_size", "{:.1%}"),
        (
            "effective sample size of the true ratio",
            "true_effective_sample_size",
            "{:.1%}",
        ),
        ("largest weight (the mean is 1)", "largest_weight", "{:.2f}"),
        ("bandwidth", "bandwidth", "{:.4g}"),
        ("mean log ratio, nats", "mean_log_ratio", "{:.4f}"),
        ("duality gap, nats", "duality_gap", "{:.1e}"),
    )
    domains = ("source", "target")
    return Table(
        ["", "source (w)", "target (psi)"],
        [
            [name, *(_shown(weights[domain][key], form) for domain in domains)]
            for name, key, form in rows
        ],
        texts().say("weights_table"),
    )


def _shares_table(numbers: Mapping[str, Any]) -> Table:
    source, target = (
        numbers["class_shares"][domain] for domain in ("source", "target")
    )
    arguments = numbers["training"]["with"]
    a, b = (
        f"{arguments[f'{domain}_weight_exponent']:g}"
        for domain in ("source", "target")
    )
    columns = {
        "source": source["unweighted"],
        "target": target["unweighted"],
        "source by w": source["weighted"],
        "target by psi": target["weighted"],
        f"as trained: source by w^{a}": source["as_trained"],
        f"target by psi^{b}": target["as_trained"],
    }
    plain = source["unweighted"], target["unweighted"]
    names = sorted(plain[0], key=lambda name: -plain[0][name] - plain[1][name])
    return Table(
        ["class", *columns],
        [
            [name, *(percent(column[name], 2) for column in columns.values())]
            for name in names
            if max(plain[0][name], plain[1][name]) >= _LEAST_SHARE
        ],
        texts().say("shares_table"),
    )


def _shown(value: Any, form: str) -> str:
    if value is None:
        return "undefined"
    return form.format(value).replace("%", " %")
