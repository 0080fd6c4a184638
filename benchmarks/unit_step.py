"""What does a training step of UNIT cost, beside CycleGAN's?

    python benchmarks/unit_step.py [--size=64x128] [--repeats=3]

The published networks of both methods, batch 1, random weights; UNIT in both
forms, that of 2018 without its perceptual loss unless `--perceptual_weights`
names VGG-16's. Each is a process of its own, and they take turns, so that
whatever else the machine does slows all of them. Prints JSON: medians of the
seconds of a step, and by how much more processor time it takes than CycleGAN's.
"""

import argparse
import json
import statistics
import sys

from timed_worker import Worker, serve

_METHODS = ("cyclegan", "unit_2017", "unit_2018")


def serve_steps(name: str, size: tuple[int, int], weights: str) -> None:
    """Is one process: takes steps when told to."""
    from cyclegan_step import make_step  # sets what TensorFlow runs with

    # isort: split
    from kliep_tf.translation.method import Setup
    from kliep_tf.translation.methods import load_method

    method_name, _, form = name.partition("_")
    method = load_method(method_name)
    options = {}
    if form:
        options["unit_form"] = form
        options["perceptual_weights"] = weights if form == "2018" else ""
    setup = Setup(image_size=size, num_steps=1000)
    serve(step=make_step(method.settings(**options), setup, method))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--size", default="64x128")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--perceptual_weights", default="")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    height, width = map(int, options.size.split("x"))
    if options.serve:
        serve_steps(options.serve, (height, width), options.perceptual_weights)
        return
    arguments = sys.argv[1:]
    workers = {
        name: Worker(sys.executable, __file__, *arguments, f"--serve={name}")
        for name in _METHODS
    }
    times: dict[str, list[dict]] = {name: [] for name in _METHODS}
    for _ in range(1 + options.repeats):
        for name, worker in workers.items():
            times[name].append(worker.call("step"))
    for worker in workers.values():
        worker.close()
    print(json.dumps(_figures(times), indent=1))


def _figures(times: dict[str, list[dict]]) -> dict:
    found: dict[str, dict] = {}
    for name, (first, *steps) in times.items():
        found[name] = {
            "first_step_cpu_seconds": round(first["cpu_seconds"], 1),
            "peak_mb": round(steps[-1]["peak_mb"]),
        }
        for unit in ("seconds", "cpu_seconds"):
            median = statistics.median(step[unit] for step in steps)
            found[name][unit] = round(median, 3)
    for figures in found.values():
        ratio = figures["cpu_seconds"] / found["cyclegan"]["cpu_seconds"]
        figures["of_cyclegan"] = round(ratio, 2)
    return found


if __name__ == "__main__":
    main()
