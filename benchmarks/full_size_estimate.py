"""How many GPU hours and how much disk do the tables take at full size?

    python benchmarks/full_size_estimate.py [--gpu=A100] [--precision=tf32] \\
        [--compute_share=0.3] [--bandwidth_share=0.6] [--markdown=FILE]

An estimate, not a measurement: the jobs are those of configs/table1_*.flags
and cohorts_*.flags, their costs are counted in the graphs of the networks
(network_costs.py), and a GPU is assumed to spend on them

    FLOP / (compute_share x peak) + bytes / (bandwidth_share x bandwidth).

Peaks are the makers' for dense matrices: float32 runs as TF32 on these GPUs.
With bf16 the bytes are halved. Decoding, start-up, checkpoints and pictures
are left out. Needs no GPU and about a minute of one core. Prints JSON.
"""

import argparse
import json
import tempfile
from pathlib import Path

from full_size_page import to_markdown
from full_size_plan import (
    NUM_IMAGES,
    PARAMETERS,
    SEGMENTERS,
    Table,
    job_cost,
    kept_bytes,
    num_images,
    parsed,
    plan_table,
    segmenter_parameters,
    segmenter_steps,
)
from network_costs import GPUS, Cost, Machine

from kliep_tf.experiments.comparison.setting import Setting
from kliep_tf.experiments.running.jobs import Job, in_order

# MB an example, measured on 2 frames of GTA5 and 5 of Cityscapes; translated
# images are taken to be as large as camera images.
_MB = {"source": 0.62, "target": 0.69, "val": 2.18, "translated": 0.69}
_TRAININGS = (
    "kliep_tf.train",
    "kliep_tf.train_segmenter",
    "kliep_tf.adapt_segmenter",
)
# Kept by a training at its end.
_CHECKPOINTS = {"translator": 3, "segmenter": 2}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--gpu", default="A100", choices=GPUS)
    parser.add_argument("--precision", default="tf32", choices=("tf32", "bf16"))
    parser.add_argument("--compute_share", type=float, default=0.3)
    parser.add_argument("--bandwidth_share", type=float, default=0.6)
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args()
    machine = Machine(
        options.gpu,
        options.precision,
        options.compute_share,
        options.bandwidth_share,
    )
    with tempfile.TemporaryDirectory() as folder:
        tables = [
            plan_table(kind, segmenter, Path(folder))
            for segmenter in SEGMENTERS
            for kind in ("table1", "cohorts")
        ]
        found = {
            "assumed": str(machine),
            "trainings": _trainings(tables, machine),
            "jobs": _jobs(tables, machine),
            "rows": _rows(tables, machine),
            "tables": _tables(tables, machine),
            "other_assumptions": _other_assumptions(tables),
            "disk": _disk(tables),
        }
    print(json.dumps(found, indent=1))
    if options.markdown:
        options.markdown.parent.mkdir(parents=True, exist_ok=True)
        options.markdown.write_text(to_markdown(found))


def _trainings(tables: list[Table], machine: Machine) -> list[dict]:
    """Returns each network's pass and step."""
    found = {}
    for table in tables:
        for job in table.jobs.values():
            if job.module in _TRAININGS:
                entry = _training(job, table.setting, machine)
                found.setdefault(entry["training"], entry)
    return list(found.values())


def _training(job: Job, setting, machine: Machine) -> dict:
    config, cost = parsed(job), job_cost(job, setting)
    steps = _steps(job, setting)
    height = config.crop_height or config.image_height
    width = config.crop_width or config.image_width
    return {
        "training": _trained(job),
        "size": f"{height}x{width}",
        "batch": config.batch_size,
        "steps": steps,
        "GFLOP a step": cost.flop / steps / 1e9,
        "GB a step moves": cost.traffic / steps / 1e9,
        "GB a step keeps": kept_bytes(job) / 1e9,
        "seconds a step": 3600 * machine.hours(cost) / steps,
    }


def _trained(job: Job) -> str:
    """Returns "CycleGAN", "cycada with drn_c_26", "road of drn_c_26"."""
    config = parsed(job)
    if job.module == "kliep_tf.train_segmenter":
        return config.network
    if job.module == "kliep_tf.adapt_segmenter":
        return f"{config.method} of {config.network}"
    if config.method == "cycada":
        task = parsed(job.flags["task_segmenter"].job).network
        return f"cycada with {task}"
    return {"cyclegan": "CycleGAN", "unit": "unit"}[config.method]


def _jobs(tables: list[Table], machine: Machine) -> list[dict]:
    """Returns one job of each kind: its images, EFLOP and hours."""
    found = {}
    for table in tables:
        for job in table.jobs.values():
            kind = _kind(job, table.setting)
            if kind not in found:
                cost = job_cost(job, table.setting)
                found[kind] = {
                    "job": kind,
                    "steps": _steps(job, table.setting),
                    "EFLOP": cost.flop / 1e18,
                    "hours": machine.hours(cost),
                }
    return list(found.values())


def _kind(job: Job, setting: Setting) -> str:
    verb = job.module.rpartition(".")[2]
    config = parsed(job)
    if verb in ("train", "adapt_segmenter"):
        return _trained(job)
    if verb == "train_segmenter":
        number = num_images(job.flags["train_records"], setting)
        return f"{config.network}, {number:,} images to learn from"
    if verb == "evaluate":
        network = parsed(job.flags["segmenter"].job).network
        number = num_images(job.flags["records"], setting)
        return f"{network}, {number:,} images scored"
    return {
        "estimate_weights": "importance weights",
        "translate": "translation",
    }[verb]


def _steps(job: Job, setting: Setting) -> int | None:
    if job.module == "kliep_tf.train_segmenter":
        return segmenter_steps(job, setting)
    return parsed(job).steps if job.module in _TRAININGS else None


def _rows(tables: list[Table], machine: Machine) -> list[dict]:
    """Returns each row's hours for one seed, and with the CycleGAN at hand."""
    found = []
    for table in tables:
        for row in table.rows:
            # Seed 1: seed 0 of the oracle is the judge.
            wanted = [
                jobs[row.name, 1]
                for jobs in (table.scored, table.judged)
                if (row.name, 1) in jobs
            ]
            shared = {table.setting.judge.digest, table.setting.weights.digest}
            shared |= {job.digest for job in in_order([table.setting.weights])}
            jobs = [job for job in in_order(wanted) if job.digest not in shared]
            # CyCADA's segmenter is that of "no adaptation".
            translators = ("kliep_tf.train", "kliep_tf.translate")
            made = {
                job.digest
                for job in in_order(
                    [job for job in jobs if job.module in translators]
                )
            }
            own = [job for job in jobs if job.digest not in made]
            found.append(
                {
                    "table": table.name,
                    "row": row.name,
                    "hours": _sum(jobs, table, machine),
                    "with translation at hand": _sum(own, table, machine),
                }
            )
    return found


def _tables(tables: list[Table], machine: Machine) -> list[dict]:
    """Returns each table's hours: alone, and after those above it."""
    found, done = [], set()
    for table in tables:
        jobs = table.jobs
        new = [job for digest, job in jobs.items() if digest not in done]
        found.append(
            {
                "table": table.name,
                "jobs": len(jobs),
                "hours alone": _sum(jobs.values(), table, machine),
                "new jobs": len(new),
                "hours in this order": _sum(new, table, machine),
            }
        )
        done |= jobs.keys()
    return found


def _sum(jobs, table: Table, machine: Machine) -> float:
    return sum(machine.hours(job_cost(job, table.setting)) for job in jobs)


def _distinct(tables: list[Table]) -> list[tuple[Job, Table]]:
    found = {}
    for table in tables:
        for digest, job in table.jobs.items():
            found.setdefault(digest, (job, table))
    return list(found.values())


def _other_assumptions(tables: list[Table]) -> list[dict]:
    """Returns the hours of all six tables on other GPUs and shares."""
    total = Cost(0.0, 0.0)
    for job, table in _distinct(tables):
        total = total.plus(job_cost(job, table.setting))
    return [
        {
            "assumed": str(machine),
            "hours": machine.hours(total),
        }
        for gpu in GPUS
        for precision in ("tf32", "bf16")
        for shares in ((0.15, 0.4), (0.3, 0.6), (0.5, 0.8))
        for machine in [Machine(gpu, precision, *shares)]
    ]


def _disk(tables: list[Table]) -> list[dict]:
    """Returns GB by what takes them, all six tables together."""
    gb = {
        f"records of {role}": number * _MB[role] / 1e3
        for role, number in NUM_IMAGES.items()
    }
    for job, _ in _distinct(tables):
        if job.module == "kliep_tf.translate":
            translated = NUM_IMAGES["source"] * _MB["translated"] / 1e3
            _add(gb, "translated records", translated)
        elif job.module == "kliep_tf.train":
            _add(gb, "translators", _translator_gb(job))
        elif job.module in _TRAININGS:
            weights = 4 * segmenter_parameters(parsed(job)) / 1e9
            _add(
                gb, "segmenters", (2 * _CHECKPOINTS["segmenter"] + 1) * weights
            )
    gb["all"] = sum(gb.values())
    return [{"what": what, "GB": size} for what, size in gb.items()]


def _translator_gb(job: Job) -> float:
    """Returns checkpoints (weights, two moments, pools) and SavedModel."""
    config = parsed(job)
    parameters = PARAMETERS[config.method]
    weights = 4 * sum(parameters) / 1e9
    picture = 4 * 3 * config.crop_height * config.crop_width / 1e9
    pools = 2 * getattr(config, "pool_size", 0) * picture
    checkpoint = 2 * 3 * weights + pools
    return _CHECKPOINTS["translator"] * checkpoint + 4 * parameters[0] / 1e9


def _add(gb: dict[str, float], what: str, size: float) -> None:
    gb[what] = gb.get(what, 0.0) + size


if __name__ == "__main__":
    main()
