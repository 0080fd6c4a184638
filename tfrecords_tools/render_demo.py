"""Draws a small city twice: as a game engine renders it, as a camera sees it.

No licensed data is needed to try the whole way from raw folders to a report:
`<output_dir>/gta5` looks like a folder of "Playing for Data" (images/, labels/
as palette PNGs, split.mat), `<output_dir>/cityscapes` like one of Cityscapes
(leftImg8bit/, gtFine/). All 19 classes occur. The target's streets show less
sky and more trees than the source's, as real streets do. `--source_look` paints
the source plainly or nearer to a present-day engine; labels stay the same.

How much less is known exactly. Beside each tree scenes.csv has one row a frame:
filename, split, the street's parameters, realised shares of sky and vegetation,
log_density_ratio = log(p_target / p_source) at these parameters, density_ratio
(the true importance w of a source frame) and inverse_density_ratio (the true
psi of a target frame).

The same seed gives the same files. The same command again continues
interrupted work.
"""

import csv
import dataclasses
import io
from pathlib import Path

import numpy as np

from kliep_tf import cli, runs
from kliep_tf import worker_processes as workers
from kliep_tf.errors import UserError
from kliep_tf.progress import progress
from tfrecords_tools.city.looks import SOURCE_LOOKS, TARGET_LOOK
from tfrecords_tools.city.parameters import SOURCE, TARGET
from tfrecords_tools.city.rendering import MIN_SIDE, CityFrame, write_frame

# Frames alternate between two made-up towns, so that a frame's name does not
# depend on how many there are.
_TOWNS = {"train": ("demoburg", "demostadt"), "val": ("demohafen",)}
_SPLIT_MAT_KEYS = {"train": "trainIds", "val": "valIds", "test": "testIds"}
# Starting a worker takes about as long as drawing this many small frames.
_FRAMES_WORTH_A_WORKER = 16
# savemat begins a file with the time of day, which would differ each time.
_MAT_HEADER = b"MATLAB 5.0 MAT-file, written by render_demo".ljust(116)


@dataclasses.dataclass(frozen=True)
class RenderDemoConfig:
    """The flags of render_demo."""

    output_dir: str = cli.flag(
        "directory for the two trees, gta5/ and cityscapes/"
    )
    num_source: int = cli.flag(
        "number of rendered frames; 5 % are validation and 5 % test frames in "
        "split.mat",
        default=300,
    )
    num_target: int = cli.flag(
        "number of camera frames in the split train", default=300
    )
    num_val: int = cli.flag(
        "number of camera frames in the split val", default=100
    )
    image_height: int = cli.flag("height of all frames in pixels", default=128)
    image_width: int = cli.flag("width of all frames in pixels", default=256)
    source_look: str = cli.flag(
        "of the rendered frames: flat, plain areas in bright colours, or "
        "textured, nearer to a present-day engine: leaves, clouds, shadows",
        default="flat",
        choices=SOURCE_LOOKS,
    )
    seed: int = cli.flag("another seed gives another city", default=0)
    num_workers: int | None = cli.flag(
        "number of worker processes; 0 works in the program's own. By default "
        "the number of cores.",
        default=None,
        affects_output=False,
    )


def render_demo(config: RenderDemoConfig) -> None:
    """Draws both trees."""
    _check(config)
    source, target = source_frames(config), target_frames(config)
    with runs.claim(
        config.output_dir, "tfrecords_tools.render_demo", config
    ) as claim:
        if claim.finished and _is_whole(config, source + target):
            print(f"{config.output_dir}: already done")
            return
        rows = _write_frames(source + target, config.num_workers)
        gta5, cityscapes = _trees(config)
        splits = [_source_split(frame.index) for frame in source]
        _write_split_mat(gta5 / "split.mat", splits)
        _write_scenes(gta5, splits, rows[: len(source)])
        splits = [frame.stream for frame in target]
        _write_scenes(cityscapes, splits, rows[len(source) :])
        claim.finish(num_frames=len(rows))
    print(
        f"{gta5}: {len(source)} frames; {cityscapes}: {config.num_target} "
        f"train and {config.num_val} val frames"
    )


def source_frames(config: RenderDemoConfig) -> list[CityFrame]:
    """Returns the rendered frames, numbered from 00001 as in GTA5."""
    root, _ = _trees(config)
    return [
        CityFrame(
            stem=f"{index + 1:05d}",
            domain=SOURCE,
            look=config.source_look,
            stream="source",
            index=index,
            seed=config.seed,
            height=config.image_height,
            width=config.image_width,
            image_path=root / "images" / f"{index + 1:05d}.png",
            label_path=root / "labels" / f"{index + 1:05d}.png",
        )
        for index in range(config.num_source)
    ]


def target_frames(config: RenderDemoConfig) -> list[CityFrame]:
    """Returns the camera frames of train, then those of val."""
    counts = {"train": config.num_target, "val": config.num_val}
    return [
        _target_frame(config, split, index)
        for split, count in counts.items()
        for index in range(count)
    ]


def _target_frame(
    config: RenderDemoConfig, split: str, index: int
) -> CityFrame:
    _, root = _trees(config)
    towns = _TOWNS[split]
    town, sequence = towns[index % len(towns)], index // len(towns)
    stem = f"{town}_{sequence:06d}_000019"
    image_dir = root / "leftImg8bit" / split / town
    label_dir = root / "gtFine" / split / town
    return CityFrame(
        stem=stem,
        domain=TARGET,
        look=TARGET_LOOK,
        stream=split,
        index=index,
        seed=config.seed,
        height=config.image_height,
        width=config.image_width,
        image_path=image_dir / f"{stem}_leftImg8bit.png",
        label_path=label_dir / f"{stem}_gtFine_labelIds.png",
    )


def _trees(config: RenderDemoConfig) -> tuple[Path, Path]:
    root = Path(config.output_dir)
    return root / "gta5", root / "cityscapes"


def _check(config: RenderDemoConfig) -> None:
    least = {
        "num_source": 1,
        "num_target": 1,
        "num_val": 0,
        "image_height": MIN_SIDE,
        "image_width": MIN_SIDE,
        "seed": 0,
        "num_workers": 0,
    }
    if config.source_look not in SOURCE_LOOKS:
        raise UserError(f"--source_look: expected one of "
                        f"{', '.join(SOURCE_LOOKS)}, "
                        f"found {config.source_look}")  # fmt: skip
    for name, minimum in least.items():
        value = getattr(config, name)
        if value is not None and value < minimum:
            raise UserError(f"--{name}: expected at least {minimum}, "
                            f"found {value}")  # fmt: skip


def _is_whole(config: RenderDemoConfig, frames: list[CityFrame]) -> bool:
    """Whether nothing has been deleted since the work was finished."""
    gta5, cityscapes = _trees(config)
    others = [gta5 / "split.mat", gta5 / "scenes.csv"]
    others.append(cityscapes / "scenes.csv")
    return all(path.exists() for path in others) and all(
        frame.exists() for frame in frames
    )


def _write_frames(
    frames: list[CityFrame], num_workers: int | None
) -> list[dict[str, float | str]]:
    """Draws what is missing; returns one row a frame, in order."""
    for frame in frames:
        frame.image_path.parent.mkdir(parents=True, exist_ok=True)
        frame.label_path.parent.mkdir(parents=True, exist_ok=True)
    if num_workers is None:
        worth = len(frames) // _FRAMES_WORTH_A_WORKER
        num_workers = min(workers.available_cores(), worth)
    with workers.map_in_workers(write_frame, frames, num_workers) as rows:
        return list(progress(rows, len(frames), "drawing", "frame"))


def _source_split(index: int) -> str:
    """Of every 20 frames the last two are validation and test."""
    return {18: "val", 19: "test"}.get(index % 20, "train")


def _write_split_mat(path: Path, splits: list[str]) -> None:
    """Writes 1-based frame numbers as columns, like "Playing for Data"."""
    # Only here: the workers, which import this module, have no use for it.
    import scipy.io

    numbers = np.arange(1, len(splits) + 1, dtype=np.uint16)
    columns = {
        key: numbers[np.array(splits) == split, np.newaxis]
        for split, key in _SPLIT_MAT_KEYS.items()
    }
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, columns)
    content = _MAT_HEADER + buffer.getvalue()[len(_MAT_HEADER) :]
    runs.write_atomically(path, content)


def _write_scenes(
    tree: Path, splits: list[str], rows: list[dict[str, float | str]]
) -> None:
    text = io.StringIO()
    names = list(rows[0])
    names.insert(1, "split")
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    for split, row in zip(splits, rows, strict=True):
        writer.writerow({**row, "split": split})
    runs.write_atomically(tree / "scenes.csv", text.getvalue())


if __name__ == "__main__":
    cli.run(render_demo, RenderDemoConfig)
