"""How fast is conversion, measured against the codecs alone?

    python benchmarks/converter.py [--input_dir=GTA5_FOLDER]

The bound: as many processes as the converter's workers, each doing nothing
but decode, area resize and PNG encode (level 1) of the image and decode,
nearest resize and PNG encode of the label, with Pillow alone, writing nothing.
The converter's time is that of the whole program: start-up, TensorFlow's
import, shuffling, checks and fsyncs included; `steady` leaves the start-up of
either side out. Prints JSON.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from kliep_tf import worker_processes as workers

_GENERATED_SIZE = (1914, 1052)


def codecs_alone(paths: tuple[Path, Path], size: tuple[int, int]) -> None:
    """What any lossless converter must do for one frame."""
    image_path, label_path = paths
    with open(os.devnull, "wb") as sink:
        image = Image.open(image_path).resize(size, Image.Resampling.BOX)
        image.save(sink, "PNG", compress_level=1)
        label = Image.open(label_path).resize(size, Image.Resampling.NEAREST)
        label.save(sink, "PNG", compress_level=1)


def _codecs_of_many(
    paths: list[tuple[Path, Path]], size: tuple[int, int]
) -> float:
    """Returns the seconds that one process takes, without its start-up."""
    begin = time.perf_counter()
    for pair in paths:
        codecs_alone(pair, size)
    return time.perf_counter() - begin


def measure_codecs(
    frames: list[tuple[Path, Path]], size: tuple[int, int], num_workers: int
) -> float:
    """Returns frames a second of the codecs alone on `num_workers` cores."""
    with ProcessPoolExecutor(num_workers) as executor:
        parts = [frames[part::num_workers] for part in range(num_workers)]
        seconds = list(
            executor.map(_codecs_of_many, parts, [size] * num_workers)
        )
    return len(frames) / max(seconds)


def measure_converter(
    input_dir: Path, size: tuple[int, int], num_workers: int
) -> float:
    """Returns the seconds that the program takes."""
    with tempfile.TemporaryDirectory() as output_dir:
        command = [
            *(sys.executable, "-m", "tfrecords_tools.convert_gta5"),
            f"--input_dir={input_dir}",
            f"--output_dir={output_dir}/records",
            "--split=all",
            f"--image_width={size[0]}",
            f"--image_height={size[1]}",
            f"--num_workers={num_workers}",
        ]
        begin = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        return time.perf_counter() - begin


def link_frames(source: Path, target: Path, count: int) -> None:
    """Fills `target` with links to the frames of `source`, in turn."""
    names = sorted(path.name for path in (source / "images").glob("*.png"))
    for folder in ("images", "labels"):
        (target / folder).mkdir(parents=True)
        for number in range(count):
            original = source / folder / names[number % len(names)]
            link = target / folder / f"{number + 1:05d}.png"
            link.symlink_to(original.resolve())


def generate_frames(target: Path, count: int, seed: int = 0) -> None:
    """Draws a few frames whose PNGs are about as large as GTA5's."""
    generator = np.random.default_rng(seed)
    width, height = _GENERATED_SIZE
    for folder in ("images", "labels"):
        (target / folder).mkdir(parents=True)
    for number in range(count):
        coarse = generator.integers(0, 256, (9, 16, 3), np.uint8)
        smooth = Image.fromarray(coarse).resize(_GENERATED_SIZE)
        noise = generator.normal(0, 2, (height, width, 3))
        pixels = np.clip(np.asarray(smooth) + noise, 0, 255).astype(np.uint8)
        name = f"{number + 1:05d}.png"
        Image.fromarray(pixels).save(target / "images" / name)
        blocks = generator.integers(0, 35, (30, 50), np.uint8)
        label = Image.fromarray(blocks).resize(
            _GENERATED_SIZE, Image.Resampling.NEAREST
        )
        label.putpalette(generator.integers(0, 256, 768).tolist())
        label.save(target / "labels" / name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input_dir", type=Path, help="real GTA5 frames")
    parser.add_argument("--num_frames", type=int, default=60)
    parser.add_argument("--image_width", type=int, default=1024)
    parser.add_argument("--image_height", type=int, default=512)
    parser.add_argument(
        "--num_workers", type=int, default=workers.available_cores()
    )
    arguments = parser.parse_args()
    size = (arguments.image_width, arguments.image_height)
    with tempfile.TemporaryDirectory() as folder:
        source = arguments.input_dir
        if source is None:
            source = Path(folder) / "generated"
            generate_frames(source, 4)
        few, many = Path(folder) / "few", Path(folder) / "many"
        link_frames(source, few, 1)
        link_frames(source, many, arguments.num_frames)
        frames = [
            (path, many / "labels" / path.name)
            for path in sorted((many / "images").iterdir())
        ]
        # Before and after, so that a change of the machine's pace shows.
        first = measure_codecs(frames, size, arguments.num_workers)
        startup = measure_converter(few, size, arguments.num_workers)
        seconds = measure_converter(many, size, arguments.num_workers)
        second = measure_codecs(frames, size, arguments.num_workers)
    bound = (first + second) / 2
    steady = (arguments.num_frames - 1) / max(seconds - startup, 1e-9)
    print(
        json.dumps(
            {
                "frames": arguments.num_frames,
                "num_workers": arguments.num_workers,
                "size": f"{size[1]}x{size[0]}",
                "real_frames": arguments.input_dir is not None,
                "codecs_alone_frames_per_second": [
                    round(first, 2),
                    round(second, 2),
                ],
                "program_seconds": round(seconds, 2),
                "startup_seconds": round(startup, 2),
                "program_frames_per_second": round(
                    arguments.num_frames / seconds, 2
                ),
                "steady_frames_per_second": round(steady, 2),
                "steady_ratio": round(steady / bound, 3),
                "program_ratio": round(
                    arguments.num_frames / seconds / bound, 3
                ),
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
