"""Which features recover a known density ratio, and at which kernel width?

    python -m kliep_tf.experiments.features --output_dir=study \\
        --source_records=demo/records/gta5 \\
        --target_records='demo/records/cityscapes/train-*' \\
        --source_scenes=demo/city/gta5/scenes.csv \\
        --target_scenes=demo/city/cityscapes/scenes.csv

On the rendered city the true ratio of every image is known. Both directions
are estimated from each kind of features under each setting of the solver, and
judged by that ratio and by the class shares of the labels. Writes features.md,
features.png and features.json. The same command again continues.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kliep_tf import cli, runs
from kliep_tf.data.class_sets import ClassSet
from kliep_tf.data.features import Features
from kliep_tf.data.summaries import class_set_of
from kliep_tf.experiments.feature_study import inputs, page, plan, plots
from kliep_tf.experiments.feature_study.cells import (
    Judge,
    equal_weights,
    run_cell,
    true_weights,
)
from kliep_tf.experiments.feature_study.plan import FeatureStudyConfig
from kliep_tf.experiments.reporting.pages import Chart, write_report
from kliep_tf.experiments.reporting.true_ratios import (
    in_order,
    read_true_ratios,
)
from kliep_tf.json_files import read_json
from kliep_tf.progress import ProgressBar

PROGRAM = "kliep_tf.experiments.features"

_NAME = "features"
_TITLE = "Which features, at which kernel width"


def study(config: FeatureStudyConfig) -> None:
    """Runs all cells of the study and writes its page."""
    shards = plan.resolve_inputs(config)
    with runs.claim(
        config.output_dir,
        PROGRAM,
        config,
        inputs=plan.input_fingerprints(config, shards),
    ) as claim:
        if claim.finished and (claim.directory / f"{_NAME}.md").exists():
            print(f"{config.output_dir}: already done")
            return
        segmenters = inputs.train_segmenters(config, shards, claim.directory)
        features = inputs.extract_all(
            config, shards, segmenters, claim.directory
        )
        classes = class_set_of([p for paths in shards.values() for p in paths])
        numbers = _run_all(config, features, classes, claim.directory)
        png = plots.draw(numbers)
        chart = Chart(png, "what the features recover", f"{_NAME}.png")
        command = cli.command_text(PROGRAM, config)
        sections = page.make_sections(
            numbers, chart, command, config.watched_label
        )
        written = write_report(
            claim.directory, _NAME, _TITLE, sections, numbers
        )
        claim.finish()
    print(written)


def _run_all(
    config: FeatureStudyConfig,
    features: Mapping[tuple[str, str], Features],
    classes: ClassSet,
    directory: Path,
) -> dict[str, Any]:
    """Returns the numbers of the page: by target, the cells and references."""
    numbers = {}
    for target in plan.targets(config):
        judges = _judges(
            config,
            features["judge", "source"],
            features["judge", target],
            classes,
            target,
        )
        numbers[target] = {
            "images": [len(judge.filenames) for judge in judges],
            "equal": _of_both(equal_weights, judges),
            "true": (
                None
                if judges[0].true_ratio is None
                else _of_both(true_weights, judges)
            ),
            "cells": _cells(config, target, features, judges, directory),
        }
    return numbers


def _cells(
    config: FeatureStudyConfig,
    target: str,
    features: Mapping[tuple[str, str], Features],
    judges: tuple[Judge, Judge],
    directory: Path,
) -> dict[str, dict[str, Any]]:
    """Returns the numbers by variant and setting; known ones are not redone."""
    variants = plan.variants(config, target)
    settings = plan.settings(config)
    total = len(variants) * len(settings)
    cells: dict[str, dict[str, Any]] = {}
    with ProgressBar(total, f"{target}: estimates", "cell") as bar:
        for variant in variants:
            pair = (
                features[variant.name, "source"],
                features[variant.name, target],
            )
            cells[variant.name] = {}
            for setting in settings:
                name = f"{target}-{variant.name}-{setting.name}.json"
                path = directory / "cells" / name
                if not path.exists():
                    found = run_cell(
                        variant, setting, pair, judges, config.seed
                    )
                    path.parent.mkdir(exist_ok=True)
                    runs.write_atomically(path, json.dumps(found))
                cells[variant.name][setting.name] = read_json(
                    path, "figures of one cell", dict, allow_nan=True
                )
                bar.update()
    return cells


def _judges(
    config: FeatureStudyConfig,
    source: Features,
    target: Features,
    classes: ClassSet,
    name: str,
) -> tuple[Judge, Judge]:
    """Returns what w over the source and psi over the target are judged by."""
    scenes = ("", "")
    if name == "target":
        scenes = (config.source_scenes, config.target_scenes)
    judges = []
    for domain, own, other, path in (
        ("source", source, target, scenes[0]),
        ("target", target, source, scenes[1]),
    ):
        ratio = None
        if path:
            ratio = in_order(
                read_true_ratios(path, domain),
                own.filenames,
                path,
                "image of the records",
            )
        judges.append(
            Judge(
                own.filenames,
                own.values,
                other.values.mean(0),
                classes,
                ratio,
                config.watched_label,
            )
        )
    return judges[0], judges[1]


def _of_both(
    judge: Callable[[Judge], dict[str, Any]], judges: tuple[Judge, Judge]
) -> dict[str, Any]:
    return {"source": judge(judges[0]), "target": judge(judges[1])}


if __name__ == "__main__":
    cli.run(study, FeatureStudyConfig)
