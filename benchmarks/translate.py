"""How fast is translation, against PyTorch and against the SavedModel's call?

    python benchmarks/translate.py [--torch_python=venv_torch/bin/python]
        [--sizes=64x64,128x128,256x512] [--batch_sizes=1,8] [--threads=0]

The published generator (9 residual blocks of 64 filters, random weights), from
uint8 images to uint8 images in memory: no file is read or written. For each
size, the SavedModel's own signature; the generator that `translate` makes anew
of it, in float32 and bfloat16; and, where `--torch_python` names a Python that
has PyTorch, the same network there (translate_torch.py), in float32 and by
autocast in bfloat16, take turns, each in a process of its own, so that whatever
else the machine does slows all of them.

Prints JSON. `speedup` is PyTorch's median in float32 by ours, `over_own_call`
the SavedModel's by ours. On a machine that does other work, CPU seconds of
`--threads=1` hold: threads that wait for each other spin.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

from timed_worker import Worker, serve

_FOLDER = Path(__file__).resolve().parent
_OURS = ("saved_model", "float32", "bfloat16")
_TORCH = {"torch": "float32", "torch_bfloat16": "bfloat16"}


def serve_translation(model: str, kind: str, shape: list[int]) -> None:
    """Is one process: translates the same images when told to."""
    from kliep_tf import cli  # noqa: F401  sets what TensorFlow runs with

    # isort: split
    import numpy as np
    import tensorflow as tf

    from kliep_tf.translation.remade import remake

    threads = int(os.environ["OMP_NUM_THREADS"])
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    saved_model = tf.saved_model.load(model)
    images = tf.constant(
        np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    )
    if kind == "saved_model":
        signature = saved_model.signatures["translate_uint8"]
        serve(call=lambda: signature(images=images)["translated"].numpy())
    else:
        remade = remake(saved_model, kind)
        serve(call=lambda: remade(images).numpy())


def write_model(directory: str) -> None:
    """Writes the published generator's SavedModel."""
    from kliep_tf.translation.exporting import write_saved_model
    from kliep_tf.translation.methods.cyclegan.method import exportable
    from kliep_tf.translation.networks import make_generator

    write_saved_model(exportable(make_generator()), directory)


def measure(model: str, shape: list[int], options) -> dict:
    """Returns the figures of one batch of images."""
    arguments = [f"--shape={','.join(map(str, shape))}", f"--model={model}"]
    workers = {
        kind: Worker(sys.executable, __file__, *arguments, f"--serve={kind}")
        for kind in _OURS
    }
    if options.torch_python:
        script = str(_FOLDER / "translate_torch.py")
        for name, dtype in _TORCH.items():
            workers[name] = Worker(
                options.torch_python, script, *arguments[:1], dtype
            )
    times: dict[str, list[dict]] = {name: [] for name in workers}
    for _ in range(options.repeats + 1):
        for name, worker in workers.items():
            times[name].append(worker.call("call"))
    for worker in workers.values():
        worker.close()
    return _figures(shape, times)


def _figures(shape: list[int], times: dict[str, list[dict]]) -> dict:
    number, height, width, _ = shape
    found: dict = {"size": f"{height}x{width}", "batch_size": number}
    for name, (first, *calls) in times.items():
        found[name] = {
            "first_call_cpu_seconds": round(first["cpu_seconds"], 1),
            "seconds": round(_median(calls, "seconds"), 4),
            "cpu_seconds": round(_median(calls, "cpu_seconds"), 4),
            "peak_mb": round(calls[-1]["peak_mb"]),
        }
        for other, ratio in (("torch", "speedup"), ("saved_model", "over_own")):
            if other in times:
                for unit in ("seconds", "cpu_seconds"):
                    theirs = _median(times[other][1:], unit)
                    found[name][f"{ratio}_{unit}"] = round(
                        theirs / _median(calls, unit), 2
                    )
    return found


def _median(times: list[dict], unit: str) -> float:
    return statistics.median(time[unit] for time in times)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--sizes", default="64x64,128x128,256x512")
    parser.add_argument("--batch_sizes", default="1,8")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=0, help="0: all cores")
    parser.add_argument("--torch_python", default="")
    for name in ("--model", "--shape", "--serve"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        shape = [int(side) for side in options.shape.split(",")]
        serve_translation(options.model, options.serve, shape)
        return
    threads = options.threads or os.cpu_count()
    os.environ["OMP_NUM_THREADS"] = str(threads)
    if not options.torch_python:
        print("PyTorch is left out: --torch_python is not set", file=sys.stderr)
    with tempfile.TemporaryDirectory() as model:
        write_model(model)
        for size in options.sizes.split(","):
            for number in map(int, options.batch_sizes.split(",")):
                shape = [number, *map(int, size.split("x")), 3]
                print(json.dumps(measure(model, shape, options)), flush=True)


if __name__ == "__main__":
    main()
