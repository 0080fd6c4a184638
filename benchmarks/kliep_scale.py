"""How do KLIEP's time and memory grow with the number of vectors?

    python benchmarks/kliep_scale.py [--num_source=250000,500000,1000000]
        [--num_target=100000] [--dim=64] [--num_centers=1000]

Source and target are written to .npy files once and fitted from memory maps
at a fixed width, each size in a process of its own. --num_centers=0 takes all
target vectors as centers. Prints JSON, one line a size: seconds, CPU seconds,
the gap, and the peak of the memory that is not the mapped files (anonymous
resident memory), whole and above that of a fit of 1,000 vectors, which is
TensorFlow with its compiled functions.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

_WIDTH = 0.7  # times the median distance
_LATENT = 10
_NOISE = 0.1
_ROWS_AT_ONCE = 100_000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--num_source", default="250000,500000,1000000")
    parser.add_argument("--num_target", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--num_centers", type=int, default=1000)
    parser.add_argument("--folder", help="keep the vectors there")
    parser.add_argument("--fit", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.fit:
        fit(arguments)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(arguments.folder or scratch)
        sizes = [int(size) for size in arguments.num_source.split(",")]
        write_vectors(folder, max(sizes), arguments.num_target, arguments.dim)
        for size in sizes:
            subprocess.run(
                [
                    sys.executable,
                    __file__,
                    f"--fit={size}",
                    f"--num_target={arguments.num_target}",
                    f"--num_centers={arguments.num_centers}",
                    f"--folder={folder}",
                ],
                check=True,
            )


def write_vectors(folder: Path, num_source, num_target, dim) -> None:
    """Writes N(0, C) and N(mu, C), C nearly of rank 10."""
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(_LATENT, dim)).astype(np.float32)
    for name, size, mean in (
        ("source", num_source, 0.0),
        ("target", num_target, 1 / np.sqrt(_LATENT)),
    ):
        path = folder / f"{name}.npy"
        if path.exists():
            continue
        vectors = np.lib.format.open_memmap(
            path, mode="w+", dtype=np.float32, shape=(size, dim)
        )
        for first in range(0, size, _ROWS_AT_ONCE):
            rows = vectors[first : first + _ROWS_AT_ONCE]
            latent = rng.standard_normal((len(rows), _LATENT), np.float32)
            noise = rng.standard_normal(rows.shape, np.float32)
            rows[:] = (latent + np.float32(mean)) @ mixing + _NOISE * noise
        vectors.flush()


def fit(arguments) -> None:
    """Fits once and prints one line of JSON."""
    from kliep_tf.density_ratio.kliep import fit_kliep
    from kliep_tf.density_ratio.samples import measure, median_distance

    folder = Path(arguments.folder)
    source = np.load(folder / "source.npy", mmap_mode="r")[: arguments.fit]
    target = np.load(folder / "target.npy", mmap_mode="r")
    target = target[: arguments.num_target]
    width = _WIDTH * median_distance(measure(source, target))
    fit_kliep(source[:1000], target[:1000], bandwidth=width)
    before = anonymous_mib()
    start, cpu = time.perf_counter(), time.process_time()
    with PeakMemory() as memory:
        result = fit_kliep(
            source,
            target,
            num_centers=arguments.num_centers or None,
            bandwidth=width,
        )
    report = {
        "num_source": len(source),
        "num_target": len(target),
        "dim": source.shape[1],
        "num_centers": len(result.alpha),
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - cpu,
        "peak_memory_mib": memory.peak_mib,
        "peak_memory_above_a_small_fit_mib": memory.peak_mib - before,
        "log_likelihood": result.log_likelihood,
        "gap": result.duality_gap,
        "iterations": result.num_iterations,
        "active_centers": int((result.alpha > 0).sum()),
    }
    print(json.dumps(report), flush=True)


class PeakMemory:
    """Samples anonymous resident memory (Linux) while it is entered."""

    def __enter__(self) -> "PeakMemory":
        self.peak_mib = anonymous_mib()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.05):
            self.peak_mib = max(self.peak_mib, anonymous_mib())


def anonymous_mib() -> int:
    """Returns what this process holds that is not a mapped file, in MiB."""
    status = Path("/proc/self/status").read_text()
    lines = dict(line.split(":", 1) for line in status.splitlines())
    return int(lines["RssAnon"].split()[0]) // 1024


if __name__ == "__main__":
    main()
