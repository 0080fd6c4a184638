"""What labels of the target buy: weights by none, some and all of them.

    python -m kliep_tf.experiments.target_labels --output_dir=results/labels \\
        --source_records=records/gta5 \\
        --target_records='records/cityscapes/train-*'

Hides the target's labels but for those of a few images, lets estimate_weights
find its features by itself, and judges the weights by all labels: how far the
domains' mean class shares lie apart, without weights and with. Writes
target_labels.md, target_labels.png and target_labels.json. The same command
again continues.
"""

import dataclasses
from pathlib import Path
from typing import Any

from kliep_tf import cli, estimate_weights, fingerprints, runs
from kliep_tf.data.features import load_features
from kliep_tf.data.records import resolve_records
from kliep_tf.data.weights import DOMAINS, load_weights
from kliep_tf.density_ratio.doubt import read_signs
from kliep_tf.density_ratio.label_features import CLASS_HISTOGRAM
from kliep_tf.density_ratio.weighting import fit_both_directions
from kliep_tf.estimate_flags import EstimateConfig, fit_settings
from kliep_tf.experiments.label_study import page
from kliep_tf.experiments.label_study.plan import (
    LabelStudyConfig,
    Row,
    rows,
)
from kliep_tf.experiments.reporting.pages import Chart, write_report
from kliep_tf.experiments.reporting.weight_judge import Judge
from kliep_tf.experiments.running import hidden_labels

PROGRAM = "kliep_tf.experiments.target_labels"

_NAME = "target_labels"
_TITLE = "What labels of the target buy"


def study(config: LabelStudyConfig) -> None:
    """Estimates and judges all rows and writes the page."""
    asked = rows(config)
    shards = {
        name: resolve_records(
            getattr(config, f"{name}_records"), f"{name}_records"
        )
        for name in DOMAINS
    }
    inputs = {
        f"{name} records": fingerprints.of(paths)
        for name, paths in shards.items()
    }
    with runs.claim(config.output_dir, PROGRAM, config, inputs=inputs) as claim:
        if claim.finished and (claim.directory / f"{_NAME}.md").exists():
            print(f"{config.output_dir}: already done")
            return
        judge = Judge.of(
            shards,
            {name: getattr(config, f"{name}_scenes") for name in DOMAINS},
        )
        numbers = {
            "images": judge.sizes,
            "equal": judge.equal_weights(),
            "rows": [
                {
                    **dataclasses.asdict(row),
                    **_run(config, row, shards, judge, claim.directory),
                }
                for row in asked
            ],
        }
        chart = Chart(
            page.draw(numbers), "how near the domains come", f"{_NAME}.png"
        )
        command = cli.command_text(PROGRAM, config)
        written = write_report(
            claim.directory,
            _NAME,
            _TITLE,
            page.make_sections(numbers, chart, command),
            numbers,
        )
        claim.finish()
    print(written)


def _run(
    config: LabelStudyConfig,
    row: Row,
    shards: dict[str, list[str]],
    judge: Judge,
    directory: Path,
) -> dict[str, Any]:
    """Estimates the weights of a row and returns how good they are."""
    target = config.target_records
    if row.labelled is not None:
        hidden = directory / "records" / f"{row.labelled}-{row.draw}"
        names = hidden_labels.draw_names(
            judge.filenames["target"], row.labelled, config.seed, row.draw
        )
        hidden_labels.hide_labels(shards["target"], set(names), hidden)
        target = str(hidden)
    segmenter = row.segmenter
    if row.segmenter_of:
        trained = directory / "weights" / row.segmenter_of / "segmenter"
        segmenter = str(trained / runs.SAVED_MODEL)
    weights_dir = directory / "weights" / row.name
    estimate = EstimateConfig(
        source_records=config.source_records,
        target_records=target,
        weights_dir=str(weights_dir),
        features=row.features,
        segmenter=segmenter,
        segmenter_backbone="" if segmenter else config.segmenter_backbone,
        segmenter_steps=config.segmenter_steps,
        min_ess=config.min_ess,
        seed=config.seed + row.draw,
    )
    estimate_weights.estimate(estimate)
    source, target_weights = (
        load_weights(weights_dir, domain) for domain in DOMAINS
    )
    because = source.summary.get("equal_because", "")
    signs = weights_dir / "signs.json"
    return {
        **judge.judge(source, target_weights),
        "signs": (
            [dataclasses.asdict(sign) for sign in read_signs(signs)]
            if signs.exists()
            else []
        ),
        "equal_because": because,
        "trusted": _trusted(estimate, judge) if because else None,
    }


def _trusted(estimate: EstimateConfig, judge: Judge) -> dict[str, Any]:
    """Returns how good the weights are that doubt has put aside."""
    source, target = (
        load_features(Path(estimate.weights_dir, f"{domain}_features.npz"))
        for domain in DOMAINS
    )
    fitted = fit_both_directions(
        source, target, CLASS_HISTOGRAM.scaling, fit_settings(estimate)
    )
    return judge.judge(*(one.weights for one in fitted))


if __name__ == "__main__":
    cli.run(study, LabelStudyConfig)
