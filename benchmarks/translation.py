"""A full frame through the exported generator, whole and in tiles.

    python benchmarks/translation.py [--height=1024 --width=2048]
        [--tile_heights=0,64,256]

The published generator (9 residual blocks of 64 filters, random weights) as a
SavedModel; a tile height of 0 is the frame whole. Each tile height has a
process of its own: seconds of one frame, CPU seconds, and the peak of the
process's memory, of which `base_mb` is what it takes to load the SavedModel
and translate a tiny image. `max_levels` is the largest difference from the
first of the tile heights, in levels of 0 to 255. Prints JSON.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from timed_worker import Worker, serve


def serve_translation(directory: Path, tile_height: int) -> None:
    """Is one process: translates when told to."""
    from kliep_tf import cli  # noqa: F401  sets what TensorFlow runs with

    # isort: split
    import tensorflow as tf

    model = tf.saved_model.load(str(directory / "model"))
    options = {}
    translate = model.signatures["translate_uint8"]
    if tile_height:
        options = {"tile_height": tf.constant(tile_height)}
        translate = model.signatures["translate_uint8_tiled"]
    frame = np.load(directory / "frame.npy")

    def translate_frame() -> None:
        images = tf.constant(frame)
        translated = translate(images=images, **options)["translated"].numpy()
        np.save(directory / f"translated_{tile_height}.npy", translated)

    def translate_tiny() -> None:
        translate(images=tf.constant(frame[:, :32, :32]), **options)

    serve(tiny=translate_tiny, frame=translate_frame)


def write_model_and_frame(directory: Path, height: int, width: int) -> None:
    """Writes the SavedModel and a smooth frame with a little noise."""
    from kliep_tf.cyclegan.exporting import write_saved_model
    from kliep_tf.cyclegan.networks import make_generator

    write_saved_model(make_generator(), directory / "model")
    generator = np.random.default_rng(0)
    coarse = generator.uniform(20, 235, (1, height // 16, width // 16, 3))
    smooth = np.kron(coarse, np.ones((1, 16, 16, 1)))
    noisy = smooth + generator.normal(0, 5, smooth.shape)
    np.save(directory / "frame.npy", noisy.astype(np.uint8))


def measure(directory: Path, tile_height: int) -> dict:
    """Returns one tile height's figures."""
    worker = Worker(
        sys.executable,
        __file__,
        f"--serve={directory}",
        f"--tile_heights={tile_height}",
    )
    base = worker.call("tiny")
    found = worker.call("frame")
    worker.close()
    return {
        "tile_height": tile_height,
        "seconds": round(found["seconds"], 1),
        "cpu_seconds": round(found["cpu_seconds"], 1),
        "base_mb": round(base["peak_mb"]),
        "peak_mb": round(found["peak_mb"]),
    }


def _compare(directory: Path, results: list[dict]) -> None:
    first, *others = [
        np.load(directory / f"translated_{result['tile_height']}.npy").astype(
            int
        )
        for result in results
    ]
    for result, other in zip(results[1:], others, strict=True):
        levels = np.abs(other - first)
        result["max_levels"] = int(levels.max())
        result["share_differing"] = float((levels > 0).mean())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--height", type=int, default=1024)
    parser.add_argument("--width", type=int, default=2048)
    parser.add_argument("--tile_heights", default="0,64,256")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    heights = [int(height) for height in options.tile_heights.split(",")]
    if options.serve:
        serve_translation(options.serve, heights[0])
        return
    with tempfile.TemporaryDirectory() as folder:
        write_model_and_frame(Path(folder), options.height, options.width)
        results = [measure(Path(folder), height) for height in heights]
        _compare(Path(folder), results)
    print(
        json.dumps(
            {"size": f"{options.height}x{options.width}", "results": results},
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
