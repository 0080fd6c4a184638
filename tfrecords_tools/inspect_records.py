"""Shows what records hold and names every broken one.

Prints shards, image sizes, formats, labels, class shares and importance
weights. Exit status 65 if a record is damaged, an image or a label cannot be
decoded or has the wrong size or values, a filename occurs twice, or
dataset.json lists other filenames.
"""

import dataclasses
from collections import Counter

import numpy as np

from kliep_tf import cli
from kliep_tf import worker_processes as workers
from kliep_tf.data import files
from kliep_tf.errors import DataError, UserError
from tfrecords_tools import inspection

# Worker processes import this module again: nothing here may import
# TensorFlow at the top.


@dataclasses.dataclass(frozen=True)
class InspectRecordsConfig:
    """The flags of inspect_records."""

    records: str = cli.flag(
        "the records: a directory or a glob", from_store=True
    )
    quick: bool = cli.flag(
        "leave out everything that needs decoded pixels", default=False
    )
    num_workers: int | None = cli.flag(
        "number of worker processes that decode; 0 decodes in the program's "
        "own. By default the number of cores.",
        default=None,
    )


def inspect_records(config: InspectRecordsConfig) -> None:
    """Prints what is in the records.

    Raises:
        UserError: nothing is found, or something is broken.
    """
    from kliep_tf.data import records  # imports TensorFlow: see above

    if config.num_workers is not None and config.num_workers < 0:
        raise UserError(
            f"--num_workers: expected 0 or more, found {config.num_workers}"
        )
    num_workers = config.num_workers
    if config.quick:
        num_workers = 0
    elif num_workers is None:
        num_workers = workers.available_cores()
    paths = records.resolve_records(config.records, "records")
    found = inspection.inspect(
        paths, num_workers=num_workers, decode=not config.quick
    )
    print("\n".join(describe(found)))
    if found.problems:
        first = found.problems[0]
        raise DataError(
            f"--records={config.records}: expected nothing broken, found "
            f"{len(found.problems)} problems, the first in {first.shard}"
        )


def describe(found: inspection.Inspection) -> list[str]:
    """Returns the lines of the report."""
    return [
        *_shard_lines(found),
        "",
        *_total_lines(found),
        *_class_lines(found),
        *_problem_lines(found),
    ]


def _shard_lines(found: inspection.Inspection) -> list[str]:
    names = inspection.shown_names(list(found.shard_counts)).values()
    width = max(map(len, names))
    lines = [f"{'shard':<{width}}  records       MB"]
    for name, (path, count) in zip(
        names, found.shard_counts.items(), strict=True
    ):
        megabytes = files.status(path).size / 1e6
        lines.append(f"{name:<{width}}  {count:7d}  {megabytes:7.1f}")
    return lines


def _total_lines(found: inspection.Inspection) -> list[str]:
    examples = found.num_records
    lines = [
        f"records      {examples} in {len(found.shard_counts)} shards",
        f"image sizes  {_counts(found.image_sizes)}",
        f"formats      {_counts(found.formats)}",
        f"labelled     {found.labelled}",
        f"classes      {len(found.classes)} ({found.classes.name})",
    ]
    if not found.weights:
        return [*lines, "weights      none"]
    weights = np.asarray(found.weights)
    ess = weights.sum() ** 2 / max(np.sum(weights**2), 1e-300)
    return [
        *lines,
        f"weights      {len(weights)}: min {weights.min():.4g}, mean "
        f"{weights.mean():.4g}, max {weights.max():.4g}, effective sample "
        f"size {ess:.1f} ({ess / len(weights):.1%})",
    ]


def _counts(counter: Counter) -> str:
    return ", ".join(f"{name} ({n})" for name, n in counter.most_common())


def _class_lines(found: inspection.Inspection) -> list[str]:
    """Returns each class's share of the labelled, not ignored pixels."""
    total = found.class_pixels.sum()
    if not total:
        return []
    weighted_total = found.weighted_class_pixels.sum()
    width = max(14, *map(len, found.classes.names))
    lines = ["", f"{'class':<{width}}  pixels"]
    lines[-1] += "  weighted" * bool(weighted_total)
    for name, pixels, weighted in zip(
        found.classes.names,
        found.class_pixels,
        found.weighted_class_pixels,
        strict=True,
    ):
        line = f"{name:<{width}}  {pixels / total:6.2%}"
        if weighted_total:
            line += f"  {weighted / weighted_total:8.2%}"
        lines.append(line)
    return lines


def _problem_lines(found: inspection.Inspection) -> list[str]:
    if not found.problems:
        return ["", "nothing is broken"]
    lines = ["", f"problems: {len(found.problems)}"]
    for problem in found.problems:
        where = problem.shard
        if problem.position is not None:
            where += f", record {problem.position}"
        if problem.filename:
            where += f" ({problem.filename})"
        lines.append(f"  {where}: {problem.reason}")
    return lines


if __name__ == "__main__":
    cli.run(inspect_records, InspectRecordsConfig)
