"""The report of a comparison: JSON, Markdown and pairs of crops to look at."""

import dataclasses
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from kliep_tf import runs
from kliep_tf.data import images, records
from kliep_tf.data.examples import readable
from kliep_tf.data.index import RecordIndex
from kliep_tf.realism import crops
from kliep_tf.realism.comparison import (
    LEAST_PAIRS,
    Comparison,
    PairedDistance,
    layout_pairs,
)
from kliep_tf.realism.distances import KernelDistance
from kliep_tf.realism.image_sets import ImageSet

REPORT_JSON, REPORT_MD, PAIRS_PNG = "report.json", "report.md", "pairs.png"
INCEPTION = "inception"

_NUM_SHOWN = 8


def headlines(found: Mapping[str, Comparison]) -> dict[str, float]:
    """Returns every measure under the name that says which features it is of.

    Args:
        found: by the network's name; INCEPTION gives FID and KID.
    """
    figures: dict[str, float | None] = {}
    for network, compared in found.items():
        if network == INCEPTION:
            figures["FID"] = compared.frechet
            figures["KID"] = compared.whole.mean
            continue
        figures[f"KVD ({network})"] = compared.whole.mean
        if compared.aligned and compared.aligned.distance:
            figures[f"sKVD ({network})"] = compared.aligned.distance.mean
        figures[f"cKVD ({network})"] = compared.group_mean
    return {name: value for name, value in figures.items() if value is not None}


def write_report(
    directory: Path,
    found: Mapping[str, Comparison],
    about: Mapping[str, str],
    pairs: Figure | None,
) -> None:
    """Writes report.json, report.md and pairs.png.

    Args:
        directory: must exist.
        found: by the network's name.
        about: what was compared, by name.
        pairs: of `draw_pairs`, None where there are none.
    """
    if pairs is not None:
        buffer = io.BytesIO()
        pairs.savefig(buffer, format="png")
        runs.write_atomically(directory / PAIRS_PNG, buffer.getvalue())
    lines = ["# Distance from photographs", ""]
    lines += [f"- {name}: {value}" for name, value in about.items()]
    lines += ["", *_table(found), "", *_words(found)]
    if pairs is not None:
        lines += ["", f"![Crops of one layout]({PAIRS_PNG})"]
    summary: dict[str, Any] = {
        **about,
        "headlines": headlines(found),
        "networks": {
            name: dataclasses.asdict(each) for name, each in found.items()
        },
    }
    runs.write_atomically(directory / REPORT_MD, "\n".join(lines) + "\n")
    text = json.dumps(summary, indent=1) + "\n"
    runs.write_atomically(directory / REPORT_JSON, text)


def draw_pairs(
    indices: tuple[RecordIndex, RecordIndex],
    sets: tuple[ImageSet, ImageSet],
    size: tuple[int, int] | None,
    seed: int,
) -> Figure | None:
    """Returns a figure of some pairs of crops that sKVD compares.

    Args:
        indices: the images that are judged, and the photographs.
        sets: their features, in the same order of images.
        size: (height, width) that images are resized to; None leaves them.
        seed: that the crops were drawn by.

    Returns:
        None where no crops share their layout.
    """
    pairs = layout_pairs(*sets, indices[0].classes.ignore_label)
    if not len(pairs):
        return None
    number = min(_NUM_SHOWN, len(pairs))
    chosen = np.linspace(0, len(pairs) - 1, number).astype(int)
    figure = Figure((1.4 * number + 0.2, 3.2), dpi=120, layout="constrained")
    axes = figure.subplots(2, number, squeeze=False)
    titles = ("judged", "photograph")
    for column, pair in enumerate(chosen):
        for side, rows in enumerate((pairs.first, pairs.second)):
            crop = _crop(indices[side], int(rows[pair]), size, seed)
            axes[side, column].imshow(crop, interpolation="nearest")
            axes[side, column].set_xticks([])
            axes[side, column].set_yticks([])
            if not column:
                axes[side, 0].set_ylabel(titles[side])
    figure.suptitle(f"{number} of {len(pairs)} pairs of crops of one layout")
    return figure


def _crop(
    index: RecordIndex, row: int, size: tuple[int, int] | None, seed: int
) -> np.ndarray:
    with readable(index, row):
        parsed = records.parse_example(index.read(row))
        image = images.decode_image(parsed[records.ENCODED])
    if size:
        image = images.resize_image(image, size)
    name = str(index.filenames[row]).encode()
    pixels = image.numpy()
    return pixels[crops.box_of(pixels.shape[:2], name, seed)]


def _table(found: Mapping[str, Comparison]) -> list[str]:
    lines = [
        "| distance | value | deviation over subsets | compared |",
        "|---|---:|---:|---|",
    ]
    for network, compared in found.items():
        if network == INCEPTION:
            lines.append(f"| FID | {compared.frechet:.2f} | | all images |")
            lines.append(_row("KID", compared.whole, "images"))
            continue
        lines.append(_row(f"KVD ({network})", compared.whole, "images"))
        if compared.aligned is not None:
            name = f"sKVD ({network})"
            lines.append(_paired_row(name, compared.aligned))
        mean = compared.group_mean
        if mean is not None:
            lines.append(f"| **cKVD ({network})** | **{mean:.2f}** | | mean |")
        lines += [
            _paired_row(f"cKVD ({network}), {group}", each)
            for group, each in compared.by_group.items()
        ]
    return lines


def _row(name: str, distance: KernelDistance, what: str) -> str:
    return (
        f"| {name} | {distance.mean:.2f} | {distance.deviation:.2f} | "
        f"{distance.num_subsets} subsets of {distance.subset_size} {what} |"
    )


def _paired_row(name: str, paired: PairedDistance) -> str:
    if paired.distance is None:
        found = f"{paired.num_pairs} pairs, fewer than {LEAST_PAIRS}"
        return f"| {name} | absent | | {found} |"
    return _row(name, paired.distance, f"of {paired.num_pairs} pairs")


def _words(found: Mapping[str, Comparison]) -> list[str]:
    lines = ["Smaller is closer; kernel distances are times 1,000."]
    if set(found) - {INCEPTION}:
        lines.append(
            "KVD compares whole images, sKVD one crop an image with a "
            "photograph's crop of the same layout, cKVD the pixels of one "
            "class group in such crops, all others black. Figures compare "
            "only with figures of the same weights, image size and number of "
            "images."
        )
    return lines
