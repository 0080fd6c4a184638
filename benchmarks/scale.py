"""Do time and memory stay in bounds with a million examples?

    python benchmarks/scale.py [--counts=100000,1000000] [--folder=SCRATCH]
        [--figure=memory.png]

For each count: that many tiny PNG images with labels are written to folders of
a thousand, and go through `convert_folder`, `estimate_weights` (class shares of
the labels, a tenth of the records as the target, a fixed width) and
`translate` (a generator of 2 filters), each a program of its own. Its memory is
drawn while it runs: resident, its worker processes' included.

Prints JSON, one line a program: seconds, CPU seconds, examples a CPU second,
the peak, and the memory at each tenth of the time. Flat means that the later
tenths are no higher than those in the middle, and that what a larger count
adds is the index of the examples: `bytes_an_example` is the peak's growth over
that of the first count, by the examples' growth.
"""

import argparse
import io
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

_SIZE = 8  # pixels a side
_A_FOLDER = 1000
_SHARDS = 64
_VARIANTS = 256
_SECONDS_BETWEEN = 0.25
_GRAY = 7  # a label id of Cityscapes: road
_SKY = 23


def write_images(folder: Path, count: int) -> None:
    """Writes images/N/N.png and labels/N/N.png, of a few hundred contents."""
    rng = np.random.default_rng(0)
    pairs = [_encoded_pair(rng) for _ in range(_VARIANTS)]
    for number in range(count):
        part, name = f"{number // _A_FOLDER:04d}", f"{number:07d}.png"
        for kind, data in zip(
            ("images", "labels"), pairs[number % _VARIANTS], strict=True
        ):
            directory = folder / kind / part
            if number % _A_FOLDER == 0:
                directory.mkdir(parents=True)
            (directory / name).write_bytes(data)


def _encoded_pair(rng: np.random.Generator) -> tuple[bytes, bytes]:
    image = rng.integers(0, 256, (_SIZE, _SIZE, 3)).astype(np.uint8)
    label = np.full((_SIZE, _SIZE), _GRAY, np.uint8)
    label[: rng.integers(_SIZE)] = _SKY
    return _png(image), _png(label)


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def write_model(directory: Path) -> None:
    """Writes the SavedModel of the smallest generator there is."""
    from kliep_tf.translation.exporting import write_saved_model
    from kliep_tf.translation.methods.cyclegan.method import exportable
    from kliep_tf.translation.networks import make_generator

    network = make_generator(filters=2, num_residual_blocks=1)
    write_saved_model(exportable(network), directory)


def programs(folder: Path) -> dict[str, list[str]]:
    """Returns the programs, in their order, with their flags."""
    target = folder / "records" / f"train-0000[0-5]-of-{_SHARDS:05d}.tfrecord"
    return {
        "convert": [
            "tfrecords_tools.convert_folder",
            f"--images={folder}/images/**/*.png",
            f"--labels={folder}/labels/**/*.png",
            "--label_map=cityscapes",
            f"--num_shards={_SHARDS}",
            f"--output_dir={folder}/records",
        ],
        "weights": [
            "kliep_tf.estimate_weights",
            f"--source_records={folder}/records",
            f"--target_records={target}",
            "--features=class_histogram",
            "--bandwidth=0.5",
            "--num_centers=50",
            f"--weights_dir={folder}/weights",
        ],
        "translate": [
            "kliep_tf.translate",
            f"--saved_model={folder}/model",
            f"--source_records={folder}/records",
            f"--weights_dir={folder}/weights",
            "--batch_size=64",
            f"--output_dir={folder}/translated",
        ],
    }


def run(words: list[str]) -> dict:
    """Runs one program and returns its times and its memory over time."""
    begin = time.perf_counter()
    cpu = _cpu_of_children()
    process = subprocess.Popen(
        [sys.executable, "-m", *words], stdout=subprocess.DEVNULL
    )
    drawn = []
    while process.poll() is None:
        drawn.append(_resident_mb(process.pid))
        time.sleep(_SECONDS_BETWEEN)
    if process.returncode:
        raise RuntimeError(f"{' '.join(words)} ended with {process.returncode}")
    return {
        "seconds": round(time.perf_counter() - begin, 1),
        "cpu_seconds": round(_cpu_of_children() - cpu, 1),
        "peak_mb": round(max(drawn)),
        "mb_by_tenth": [
            round(max(part)) for part in np.array_split(drawn, 10) if len(part)
        ],
        "drawn": drawn,
    }


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _resident_mb(pid: int) -> float:
    """Returns the memory of a process and its children, in MiB."""
    pages, waiting = 0, [pid]
    while waiting:
        process = Path("/proc", str(waiting.pop()))
        try:
            # Less what is shared with others: libraries, once a process.
            _, resident, shared, *_ = (process / "statm").read_text().split()
            pages += int(resident) - int(shared)
            children = process / "task" / process.name / "children"
            waiting += map(int, children.read_text().split())
        except OSError:  # it has just ended
            continue
    return pages * resource.getpagesize() / 2**20


def draw(results: list[dict], path: str) -> None:
    """Draws each program's memory over its time."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.5), layout="constrained")
    axes = figure.subplots()
    for found in results:
        shares = np.linspace(0, 1, len(found["drawn"]))
        label = f"{found['program']}, {found['count']:,}"
        axes.plot(shares, found["drawn"], label=label)
    axes.set(xlabel="share of the time", ylabel="MiB", ylim=(0, None))
    axes.legend(fontsize="small")
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--counts", default="100000,1000000")
    parser.add_argument("--folder", help="scratch, emptied by nobody")
    parser.add_argument("--figure")
    options = parser.parse_args()
    counts = [int(count) for count in options.counts.split(",")]
    results: list[dict] = []
    for count in counts:
        with tempfile.TemporaryDirectory(dir=options.folder) as name:
            folder = Path(name)
            write_images(folder, count)
            write_model(folder / "model")
            for program, words in programs(folder).items():
                found = {"program": program, "count": count, **run(words)}
                rate = count / found["cpu_seconds"]
                found["examples_a_cpu_second"] = round(rate)
                first = next(
                    (one for one in results if one["program"] == program), None
                )
                if first:
                    grown = (found["peak_mb"] - first["peak_mb"]) * 2**20
                    found["bytes_an_example"] = round(
                        grown / (count - first["count"])
                    )
                results.append(found)
                shown = {k: v for k, v in found.items() if k != "drawn"}
                print(json.dumps(shown), flush=True)
    if options.figure:
        draw(results, options.figure)


if __name__ == "__main__":
    main()
