"""A full frame through the exported generator, whole and in tiles.

    python benchmarks/translation.py [--sizes=512x1024,1024x2048]
        [--tile_heights=0,16,64,256] [--markdown=docs/results/translation.md]

The published generator (9 residual blocks of 64 filters, random weights) as a
SavedModel; a tile height of 0 is the frame whole. Each frame has a process of
its own: seconds, CPU seconds, and the peak of the process's memory, of which
`base_mb` is what it takes to load the SavedModel and translate a tiny image.
`max_levels` is the largest difference from the first of the tile heights, in
levels of 0 to 255. Prints JSON.
"""

import argparse
import json
import os
import sys
import tempfile
from importlib import metadata
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
    from kliep_tf.translation.exporting import write_saved_model
    from kliep_tf.translation.methods.cyclegan.method import exportable
    from kliep_tf.translation.networks import make_generator

    write_saved_model(exportable(make_generator()), directory / "model")
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
        "added_mb": round(found["peak_mb"] - base["peak_mb"]),
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


_PAGE = """# Full frames, whole and in tiles

Written by

    {command}

on {cpus} CPU cores shared with other programs (load average {load:.1f}: the
processor seconds say what it costs), TensorFlow {tensorflow}. The published
generator (9 residual blocks, 64 filters, random weights) from its SavedModel,
one frame, each row a process of its own. Memory is the process's peak in MiB;
the base is that of TensorFlow, the SavedModel and a frame of 32x32.

| frame | tiles of | seconds | CPU seconds | peak | base | above the base | \
largest difference, levels | values that differ |
|---|---|---|---|---|---|---|---|---|
{rows}

In tiles, two activations at a quarter of height and width are kept, 128 bytes a
pixel of the frame: 64 MiB at 512x1024, 256 MiB at 1024x2048. The rest is the
tile, which grows with its height and the frame's width, and the frame itself.

A difference of one level is a value that lay between two. Tiles make more of
them in larger frames because the whole frame's statistics are float32 sums over
all of its pixels.
"""


def _markdown(results: list[dict]) -> str:
    rows = []
    for found in results:
        tiles = found["tile_height"]
        rows.append(
            f"| {found['size']} | {f'{tiles} rows' if tiles else 'whole'} "
            f"| {found['seconds']} | {found['cpu_seconds']} "
            f"| {found['peak_mb']} | {found['base_mb']} | {found['added_mb']} "
            f"| {found.get('max_levels', '')} "
            f"| {_percent(found.get('share_differing'))} |"
        )
    return _PAGE.replace("\\\n", "").format(
        command=" ".join(["python", *sys.argv]),
        cpus=os.cpu_count(),
        load=os.getloadavg()[2],
        tensorflow=metadata.version("tensorflow"),
        rows="\n".join(rows),
    )


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.2%}"


def measure_size(size: str, tile_heights: list[int]) -> list[dict]:
    """Returns the figures of one size, HEIGHTxWIDTH."""
    height, width = map(int, size.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        write_model_and_frame(Path(folder), height, width)
        results = [measure(Path(folder), rows) for rows in tile_heights]
        _compare(Path(folder), results)
    return [{"size": size, **found} for found in results]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--sizes", default="512x1024,1024x2048")
    parser.add_argument("--tile_heights", default="0,16,64,256")
    parser.add_argument("--markdown", type=Path, help="also write a page there")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    tile_heights = [int(rows) for rows in options.tile_heights.split(",")]
    if options.serve:
        serve_translation(options.serve, tile_heights[0])
        return
    results = []
    for size in options.sizes.split(","):
        results += measure_size(size, tile_heights)
    print(json.dumps(results, indent=1))
    if options.markdown:
        options.markdown.parent.mkdir(parents=True, exist_ok=True)
        options.markdown.write_text(_markdown(results), encoding="utf-8")


if __name__ == "__main__":
    main()
