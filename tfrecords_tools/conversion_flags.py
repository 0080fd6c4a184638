"""The flags that all converters have."""

import dataclasses

from kliep_tf import cli
from kliep_tf.errors import UserError
from kliep_tf.shard_runners import RunnerFlags, check_runner
from tfrecords_tools.splitting import check_name

MOST_SHARDS = 64
FRAMES_PER_SHARD = 16
# The name of its fingerprint, where it is a file.
LABEL_MAP = "label map"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConversionConfig(RunnerFlags):
    """The flags that all converters have."""

    output_dir: str = cli.flag(
        "where shards and dataset.json go. Several splits may share it.",
        affects_output=False,
        mirrored="output",
    )
    split: str = cli.flag("which part to convert", default="train")
    shard_prefix: str = cli.flag(
        "what names of shards begin with, by default the split: DeepLab of "
        "tensorflow/models looks for train_fine and val_fine",
        default="",
    )
    format: str = cli.flag(
        "who reads the records: deeplab, with this project, labels as PNG; "
        "deeplab2 labels as raw int32, the train id times 1000",
        default="deeplab",
        choices=("deeplab", "deeplab2"),
    )
    image_height: int = cli.flag(
        "height of the records' images. 0 keeps each frame's size. Images are "
        "resized by area, labels by nearest neighbour; nothing is cropped, so "
        "the aspect ratio follows the two sizes given.",
        default=0,
    )
    image_width: int = cli.flag(
        "width of the records' images. 0 keeps each frame's size.", default=0
    )
    image_format: str = cli.flag(
        "png is lossless; jpeg (quality 95) is a quarter of the size",
        default="png",
        choices=("png", "jpeg"),
    )
    num_shards: int | None = cli.flag(
        f"Number of files. By default {MOST_SHARDS}, or fewer so that each "
        f"holds {FRAMES_PER_SHARD} frames.",
        default=None,
    )
    num_workers: int | None = cli.flag(
        "number of worker processes; 0 works in the program's own. By default "
        "the number of cores.",
        default=None,
        affects_output=False,
    )
    keep_unlabelled: bool = cli.flag(
        "convert frames without a label too, to records without one, where "
        "they would be skipped: a part of the images has labels",
        default=False,
    )
    seed: int = cli.flag(
        "of the order of the frames. They are shuffled because GTA5 is video "
        "in order and DeepLab shuffles only nearby records.",
        default=0,
    )

    @property
    def prefix(self) -> str:
        """What names of shards begin with: the split's name in the records."""
        return self.shard_prefix or self.split


@dataclasses.dataclass(frozen=True, kw_only=True)
class FolderConfig(ConversionConfig):
    """The flags of a converter of one folder of a known layout."""

    input_dir: str = cli.flag("the dataset's folder", affects_output=False)
    label_map: str = cli.flag(
        "what the values in the label files mean: a label map that ships "
        "(cityscapes_train_ids, for example) or a CSV or JSON file. By default "
        "the dataset's own ids.",
        default="",
        read_as=LABEL_MAP,
        mirrored="input",
    )


def check_flags(config: ConversionConfig) -> None:
    """Raises a UserError for a number that cannot be used."""
    check_runner(config)
    cli.size_flags(config, "image")
    if config.shard_prefix:
        check_name(config.shard_prefix, "--shard_prefix")
    if config.num_shards is not None and not 1 <= config.num_shards <= 99_999:
        raise UserError(
            f"--num_shards: expected 1 to 99999, found {config.num_shards}"
        )
    if config.num_workers is not None and config.num_workers < 0:
        raise UserError(
            f"--num_workers: expected 0 or more, found {config.num_workers}"
        )
