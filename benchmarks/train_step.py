"""How fast is a training step, against PyTorch and against the machine?

    python benchmarks/train_step.py [--torch_python=venv_torch/bin/python]

Both published networks of each direction (9 residual blocks of 64 filters,
70x70 discriminators), batch 1, with and without identity losses. For each size
our step in float32 and bfloat16 and, where `--torch_python` names a Python
that has PyTorch, the same step there (train_step_torch.py) take turns, each in
a process of its own, so that whatever else the machine does slows all of them.

Prints JSON. GFLOP/s count the convolutions of a step by its layers' shapes,
however they are computed. `gemm_share` is that rate by the one of a float32
matrix product of 2048^3 in the same process; Winograd's filtering, which saves
multiplications, brings it above 1. `speedup` is PyTorch's median by ours. The
first step of a process includes making the networks, tracing and, once,
oneDNN's choices.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path

from timed_worker import Worker, serve

_FOLDER = Path(__file__).resolve().parent
_DTYPES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
_GEMM_SIZE = 2048
_GEMM_GFLOP = 2 * _GEMM_SIZE**3 / 1e9


def serve_steps(height: int, width: int, identity: float, dtype: str) -> None:
    """Is one process: takes steps and matrix products when told to."""
    from cyclegan_step import make_step  # sets what TensorFlow runs with

    # isort: split
    import tensorflow as tf

    from kliep_tf.translation.method import Setup
    from kliep_tf.translation.methods.cyclegan.settings import CycleGANSettings

    settings = CycleGANSettings(identity_weight=identity)
    setup = Setup(
        image_size=(height, width), num_steps=1000, dtype=_DTYPES[dtype]
    )
    matrix = tf.random.normal([_GEMM_SIZE, _GEMM_SIZE], seed=0)
    serve(
        step=make_step(settings, setup), gemm=lambda: (matrix @ matrix).numpy()
    )


def step_gflop(height: int, width: int, identity: float) -> float:
    """Returns the GFLOP of a step's convolutions.

    A forward pass counts once, the gradients by its input and by its weights
    once each. Generators: fake, cycle and identity, all forward and back.
    Discriminators: fakes for the generators (no weights), real and fake.
    """
    from network_costs import count_forward

    from kliep_tf.translation.networks import make_discriminator, make_generator

    generator_passes = 3 * (3 if identity else 2)
    discriminator_passes = 2 + 2 * 3
    size = (height, width)
    flop = (
        generator_passes * count_forward(make_generator(), size).cost.flop
        + discriminator_passes
        * count_forward(make_discriminator(), size).cost.flop
    )
    return 2 * flop / 1e9


def measure(
    size: tuple[int, int], identity: float, torch_python: str, repeats: int
) -> dict:
    """Returns the figures of one size, all processes taking turns."""
    arguments = [
        f"--height={size[0]}",
        f"--width={size[1]}",
        f"--identity={identity}",
    ]
    workers = {
        dtype: Worker(sys.executable, __file__, *arguments, f"--serve={dtype}")
        for dtype in _DTYPES
    }
    if torch_python:
        script = str(_FOLDER / "train_step_torch.py")
        workers["torch"] = Worker(torch_python, script, *arguments)
    times = {name: [worker.call("step")] for name, worker in workers.items()}
    gemm = {name: [] for name in _DTYPES}
    for _ in range(repeats):
        for name, worker in workers.items():
            times[name].append(worker.call("step"))
            if name in gemm:
                gemm[name].append(worker.call("gemm"))
    for worker in workers.values():
        worker.close()
    return _figures(size, identity, times, gemm)


def _figures(size, identity, times, gemm) -> dict:
    gflop = step_gflop(*size, identity)
    found = {
        "size": f"{size[0]}x{size[1]}",
        "identity": identity,
        "gflop": round(gflop, 1),
    }
    for name, (first, *steps) in times.items():
        seconds = _median(steps, "seconds")
        found[name] = {
            "first_step_seconds": round(first["seconds"], 1),
            "seconds": round(seconds, 3),
            "cpu_seconds": round(_median(steps, "cpu_seconds"), 3),
            "images_per_second": round(1 / seconds, 3),
            "gflop_per_second": round(gflop / seconds, 1),
            "peak_mb": round(steps[-1]["peak_mb"]),
        }
        if name in gemm:
            rate = _GEMM_GFLOP / _median(gemm[name], "seconds")
            found[name]["gemm_gflop_per_second"] = round(rate, 1)
            found[name]["gemm_share"] = round(gflop / seconds / rate, 3)
        if "torch" in times:
            for unit in ("seconds", "cpu_seconds"):
                ratio = _median(times["torch"][1:], unit) / _median(steps, unit)
                found[name][f"speedup_{unit}"] = round(ratio, 2)
    return found


def _median(times: list[dict], unit: str) -> float:
    return statistics.median(time[unit] for time in times)


def _markdown(results: list[dict], repeats: int) -> str:
    lines = [
        "# A training step",
        "",
        "The published networks, batch 1; medians of "
        f"{repeats} steps, taken in turns, by",
        "`python benchmarks/train_step.py`. Speed-ups are over PyTorch's step "
        "in the same run, by",
        "wall clock and by CPU time; `of GEMM` is the rate of the step's "
        "convolutions, by what they",
        "would multiply if computed as written, by that of a float32 matrix "
        "product in the same process.",
        "",
        "| size | identity | step in | first step, s | s | CPU s | GFLOP/s | "
        "of GEMM | peak MB | speed-up | by CPU |",
        "|" + "---|" * 11,
    ]
    for result in results:
        for name in (*_DTYPES, "torch"):
            if name not in result:
                continue
            row = result[name]
            cells = [
                result["size"],
                "yes" if result["identity"] else "no",
                "PyTorch, float32" if name == "torch" else name,
                row["first_step_seconds"],
                row["seconds"],
                row["cpu_seconds"],
                row["gflop_per_second"],
                row.get("gemm_share", ""),
                row["peak_mb"],
                row.get("speedup_seconds", ""),
                row.get("speedup_cpu_seconds", ""),
            ]
            lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--sizes", default="64x64,128x128,256x128")
    parser.add_argument("--identities", default="0.5,0")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--torch_python", default="")
    parser.add_argument("--markdown", type=Path)
    for name in ("--height", "--width"):
        parser.add_argument(name, type=int, help=argparse.SUPPRESS)
    parser.add_argument("--identity", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve_steps(
            options.height, options.width, options.identity, options.serve
        )
        return
    if not options.torch_python:
        print("PyTorch is left out: --torch_python is not set", file=sys.stderr)
    results = [
        measure(
            tuple(map(int, size.split("x"))),
            float(identity),
            options.torch_python,
            options.repeats,
        )
        for size in options.sizes.split(",")
        for identity in options.identities.split(",")
    ]
    print(json.dumps(results, indent=1))
    if options.markdown:
        options.markdown.parent.mkdir(parents=True, exist_ok=True)
        options.markdown.write_text(_markdown(results, options.repeats))


if __name__ == "__main__":
    main()
