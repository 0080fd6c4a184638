"""Which estimator, with which kernel? Known ratios, and photographs.

    python -m kliep_tf.experiments.estimators --output_dir=results/estimators \\
        --names=city --source_records=demo/records/gta5 \\
        --target_records='demo/records/cityscapes/train-*' \\
        --source_scenes=demo/city/gta5/scenes.csv \\
        --target_scenes=demo/city/cityscapes/scenes.csv

Fits every estimator with every kernel to the same features and judges the
weights in the same way: on Gaussians by the density ratio's formula, on pairs
of labelled records by how near the weighted domains' class shares come, and by
the true ratio where scenes.csv has it. Several pairs stand in one list, as in
--names=city,street --source_records=a,b; --labelled=all,20 also compares
features of which a segmenter of 20 labelled target images predicts one side.
Writes estimators.md, estimators.png and estimators.json. The same command again
continues.
"""

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kliep_tf import cli, fingerprints, runs
from kliep_tf.data.features import Features
from kliep_tf.data.records import resolve_records
from kliep_tf.data.summaries import class_set_of
from kliep_tf.data.weights import DOMAINS, ImportanceWeights
from kliep_tf.errors import UserError
from kliep_tf.estimate_features import find_features
from kliep_tf.estimate_flags import EstimateConfig
from kliep_tf.experiments.estimator_study import cells, page, plan, plots
from kliep_tf.experiments.estimator_study.gaussians import PROBLEMS, Gaussians
from kliep_tf.experiments.estimator_study.plan import (
    EstimatorStudyConfig,
    Method,
    Pair,
)
from kliep_tf.experiments.reporting.pages import Chart, write_report
from kliep_tf.experiments.reporting.weight_judge import Judge
from kliep_tf.experiments.running import hidden_labels
from kliep_tf.json_files import read_json
from kliep_tf.progress import ProgressBar

PROGRAM = "kliep_tf.experiments.estimators"

_NAME = "estimators"
_TITLE = "Estimators and kernels"

Sample = tuple[Features, Features]
Weights = tuple[ImportanceWeights, ImportanceWeights]
Shards = dict[str, list[str]]


def study(config: EstimatorStudyConfig) -> None:
    """Fits and judges everything and writes the page."""
    cli.check(config)
    cli.require_seed(config)
    methods, pairs = plan.methods(config), plan.pairs(config)
    if not (pairs or config.num_points):
        raise UserError(
            "--num_points=0: expected --names of pairs of records, or points "
            "of Gaussians, found neither"
        )
    shards = [_shards(pair) for pair in pairs]
    with runs.claim(
        config.output_dir, PROGRAM, config, inputs=_inputs(pairs, shards)
    ) as claim:
        if claim.finished and (claim.directory / f"{_NAME}.md").exists():
            print(f"{config.output_dir}: already done")
            return
        run = _Run(config, methods, claim.directory)
        numbers = {
            "gaussians": [
                run.gaussians(problem)
                for problem in PROBLEMS
                if config.num_points
            ],
            "pairs": [
                run.pair(pair, found)
                for pair, found in zip(pairs, shards, strict=True)
            ],
        }
        chart = Chart(
            plots.draw(numbers), "what each method reaches", f"{_NAME}.png"
        )
        command = cli.command_text(PROGRAM, config)
        sections = page.make_sections(numbers, chart, command)
        written = write_report(
            claim.directory, _NAME, _TITLE, sections, numbers
        )
        claim.finish()
    print(written)


def _shards(pair: Pair) -> Shards:
    return {
        name: resolve_records(records, f"{name}_records")
        for name, records in zip(DOMAINS, pair.records, strict=True)
    }


def _inputs(pairs: list[Pair], shards: list[Shards]) -> dict[str, str]:
    return {
        f"{pair.name}, {name} records": fingerprints.of(found[name])
        for pair, found in zip(pairs, shards, strict=True)
        for name in DOMAINS
    }


@dataclasses.dataclass(frozen=True)
class _Run:
    """The study's cells, kept in its directory.

    Attributes:
        config: the flags.
        methods: that are compared.
        directory: the claimed one.
    """

    config: EstimatorStudyConfig
    methods: list[Method]
    directory: Path

    def gaussians(self, problem: Gaussians) -> dict[str, Any]:
        """Returns the numbers of one known ratio, points anew each seed."""
        number, seeds = self.config.num_points, self._seeds()

        def points(seed: int) -> Sample:
            return problem.draw(number, seed)

        def judge(points: Sample, weights: Weights) -> dict[str, Any]:
            return cells.judge_gaussians(problem, points, weights)

        methods = [m for m in self.methods if m.estimator != "class_shares"]
        return {
            "title": problem.title,
            "images": [number, number],
            "true": [
                cells.judge_truth(problem, points(seed)) for seed in seeds
            ],
            "methods": self._cells(
                problem.title, methods, lambda _: seeds, points, judge
            ),
        }

    def pair(self, pair: Pair, shards: Shards) -> dict[str, Any]:
        """Returns the numbers of one pair of domains, folds anew each seed."""
        scenes = dict(zip(DOMAINS, pair.scenes, strict=True))
        judge = Judge.of(shards, scenes)
        sample = self._features(pair, shards, judge)
        seeds = self._seeds()

        def of_method(method: Method) -> list[int]:
            return seeds if method.is_seeded else seeds[:1]

        return {
            "title": pair.title,
            "images": judge.sizes,
            "equal": judge.equal_weights(),
            "true": judge.true_weights() if judge.true_ratios else None,
            "methods": self._cells(
                pair.title,
                self.methods,
                of_method,
                lambda seed: sample,
                lambda _, weights: judge.judge(*weights),
            ),
        }

    def _features(self, pair: Pair, shards: Shards, judge: Judge) -> Sample:
        """Returns class shares: by labels, or of the target predicted."""
        if pair.labelled is None:
            return judge.shares["source"], judge.shares["target"]
        place = self.directory / "features" / _file_name(pair.title)
        names = hidden_labels.draw_names(
            judge.filenames["target"], pair.labelled, self.config.seed, 0
        )
        hidden = place / "records"
        hidden_labels.hide_labels(shards["target"], set(names), hidden)
        config = EstimateConfig(
            source_records=pair.records[0],
            target_records=str(hidden),
            weights_dir=str(place),
            segmenter_steps=self.config.segmenter_steps,
            seed=self.config.seed,
        )
        records = {
            "source": shards["source"],
            "target": resolve_records(str(hidden), "target_records"),
        }
        classes = class_set_of([*records["source"], *records["target"]])
        found = find_features(config, records, classes)
        return found.source, found.target

    def _seeds(self) -> list[int]:
        first = self.config.seed
        return list(range(first, first + self.config.num_seeds))

    def _cells(
        self,
        title: str,
        methods: list[Method],
        seeds_of: Callable[[Method], list[int]],
        sample_of: Callable[[int], Sample],
        judge: Callable[[Sample, Weights], dict[str, Any]],
    ) -> dict[str, list[dict[str, Any]]]:
        """Returns the cells by method and seed; known ones are not redone."""
        asked = [
            (method, seed) for method in methods for seed in seeds_of(method)
        ]
        found: dict[str, list[dict[str, Any]]] = {}
        with ProgressBar(len(asked), title, "fit") as bar:
            for method, seed in asked:
                name = _file_name(f"{title} {method.title} {seed}")
                path = self.directory / "cells" / f"{name}.json"
                if not path.exists():
                    sample = sample_of(seed)
                    settings = method.settings(self.config.min_ess, seed)
                    *weights, seconds = cells.estimate(
                        method, settings, *sample
                    )
                    cell = {
                        **judge(sample, (weights[0], weights[1])),
                        "cpu_seconds": seconds,
                    }
                    path.parent.mkdir(exist_ok=True)
                    runs.write_atomically(path, json.dumps(cell))
                cells_of = found.setdefault(method.title, [])
                cells_of.append(
                    read_json(path, "figures of one cell", dict, allow_nan=True)
                )
                bar.update()
        return found


def _file_name(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


if __name__ == "__main__":
    cli.run(study, EstimatorStudyConfig)
