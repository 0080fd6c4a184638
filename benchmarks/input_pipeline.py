"""Does the input pipeline keep up with the training step?

    python benchmarks/input_pipeline.py [--recipe=demo|gta2cs]
        [--step_seconds=SECONDS]

Two recipes: the rendered city's (64x128, whole images, small networks) and
GTA5 to Cityscapes (1024x512, crops of 400, the published networks). Draws
records of noisy images of that size as PNG, about as large as real frames',
and times batches of `make_unpaired_dataset` alone, then training steps alone.
`steps_of_input` is how many batches are read in the time of a step: above 1
the step never waits, as long as reading leaves it the cores it takes, which
`cpu_share` says: CPU time of a batch by that of a step and a batch.
`--step_seconds` compares with a step that was measured elsewhere, on a GPU
say, instead of taking any. Prints JSON.
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path

from cyclegan_step import make_step
from timed_worker import timed

# isort: split
import numpy as np

from kliep_tf.data import pipeline, records
from kliep_tf.data.augmentation import Augmentation
from kliep_tf.data.index import build_index
from kliep_tf.data.summaries import shard_name
from kliep_tf.translation.exporting import encode_png
from kliep_tf.translation.method import Setup
from kliep_tf.translation.methods.cyclegan.settings import CycleGANSettings

RECIPES = {
    "demo": (
        (64, 128),
        Augmentation(image_size=(64, 128), flip=True),
        CycleGANSettings(
            generator_filters=16,
            discriminator_filters=16,
            num_residual_blocks=4,
            upsampling="resize",
        ),
    ),
    "gta2cs": (
        (512, 1024),
        Augmentation(image_size=(512, 1024), crop_size=(400, 400), flip=True),
        CycleGANSettings(identity_weight=1.0),
    ),
}


def write_noisy_records(
    directory: Path, size: tuple[int, int], number: int
) -> None:
    """Writes one shard of smooth images with a little noise."""
    generator = np.random.default_rng(0)
    examples = []
    for row in range(number):
        coarse = generator.uniform(40, 215, (size[0] // 16, size[1] // 16, 3))
        smooth = np.kron(coarse, np.ones((16, 16, 1)))
        noisy = smooth + generator.normal(0, 2, smooth.shape)
        examples.append(
            records.encode_example(
                encode_png(noisy.astype(np.uint8)).numpy(),
                filename=f"{row:05d}",
                height=size[0],
                width=size[1],
            )
        )
    records.write_shard(directory / shard_name("train", 0, 1), examples)


def measure_input(
    directory: Path, augmentation: Augmentation, num_batches: int
) -> dict[str, float]:
    """Returns the mean seconds of a batch, after a few to start with."""
    index = build_index(records.resolve_records(directory, "records"))
    ones = np.ones(len(index), np.float32)
    batches = iter(
        pipeline.make_unpaired_dataset(
            index,
            index,
            augmentation,
            source_weights=ones,
            target_weights=ones,
            batch_size=1,
            seed=0,
        )
    )

    def read(count: int) -> None:
        for _ in range(count):
            next(batches)

    # Until what was read ahead at first no longer counts.
    read(num_batches // 2)
    times = timed(lambda: read(num_batches))
    return {unit: value / num_batches for unit, value in times.items()}


def measure_step(
    settings: CycleGANSettings, size: tuple[int, int], repeats: int
) -> dict[str, float]:
    """Returns the median seconds of a step."""
    step = make_step(settings, Setup(image_size=size, num_steps=1000))
    step()
    times = [timed(step) for _ in range(repeats)]
    return {
        unit: statistics.median(time[unit] for time in times)
        for unit in times[0]
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--recipe", choices=RECIPES, default="demo")
    parser.add_argument("--num_images", type=int, default=32)
    parser.add_argument("--num_batches", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--step_seconds", type=float)
    options = parser.parse_args()
    size, augmentation, settings = RECIPES[options.recipe]
    with tempfile.TemporaryDirectory() as folder:
        write_noisy_records(Path(folder), size, options.num_images)
        bytes_per_image = sum(
            path.stat().st_size for path in Path(folder).iterdir()
        )
        batch = measure_input(Path(folder), augmentation, options.num_batches)
    found = {
        "recipe": options.recipe,
        "kilobytes_per_image": round(
            bytes_per_image / options.num_images / 1e3
        ),
        # A batch is one image of each domain.
        "images_per_second": round(2 / batch["seconds"], 1),
        "batch_seconds": round(batch["seconds"], 4),
        "batch_cpu_seconds": round(batch["cpu_seconds"], 4),
    }
    if options.step_seconds:
        step = {"seconds": options.step_seconds}
    else:
        step = measure_step(
            settings, augmentation.crop_size or size, options.repeats
        )
        cpu = batch["cpu_seconds"]
        found["cpu_share"] = round(cpu / (cpu + step["cpu_seconds"]), 4)
    found["step_seconds"] = round(step["seconds"], 3)
    found["steps_of_input"] = round(step["seconds"] / batch["seconds"], 1)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
