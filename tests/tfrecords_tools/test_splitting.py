import re
from itertools import chain

import numpy as np
import pytest
from PIL import Image

from kliep_tf.data import summaries
from kliep_tf.errors import UserError
from tfrecords_tools.convert_folder import ConvertFolderConfig, convert_folder
from tfrecords_tools.splitting import assign_splits


@pytest.fixture
def drive(tmp_path):
    """Frames 0..3 in day/, 4 and 5 in night/, 6 in neither."""
    for number in range(7):
        folder = ("day/cam", "night/cam", ".")[(number > 3) + (number > 5)]
        path = tmp_path / "drive" / folder / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image = np.full((2, 3, 3), number, np.uint8)
        Image.fromarray(image).save(path)
    return tmp_path / "drive"


def convert(drive, **flags):
    values = {
        "images": str(drive / "**" / "*.png"),
        "output_dir": str(drive.parent / "out"),
        "num_workers": 0,
    }
    convert_folder(ConvertFolderConfig(**{**values, **flags}))
    return drive.parent / "out"


def names_of(out):
    """Returns the filenames of each split, by dataset.json."""
    return {
        split: sorted(chain.from_iterable(summary.shards.values()))
        for split, summary in summaries.read_summaries(out).items()
    }


def test_by_folder(drive, parse, capsys):
    out = convert(drive, split_by="folder")
    assert names_of(out) == {"day": ["0", "1", "2", "3"], "night": ["4", "5"]}
    assert sorted(parse(out, "night-*", labels=False)) == ["4", "5"]
    said = capsys.readouterr().out
    assert "1 of 7 images are in no split" in said
    assert "drive/6.png" in said


def test_by_expression(drive):
    rule = r"/(?P<split>day|night)/"
    assert names_of(convert(drive, split_by=rule, split="night")) == {
        "night": ["4", "5"]
    }


def test_by_files_of_names(drive, capsys):
    # A stem, a file, a path, and a line of image and label.
    (drive / "train.txt").write_text("0\n1.png\nday/cam/2.png\nmissing\n")
    (drive / "val.txt").write_text("night/cam/4.png night/seg/4.png\n\n")
    lists = f"{drive / 'train.txt'},{drive / 'val.txt'}"
    out = convert(drive, split_by=lists)
    assert names_of(out) == {"train": ["0", "1", "2"], "val": ["4"]}
    assert "1 of 4 names" in capsys.readouterr().out


def test_a_frame_in_two_files_is_refused(drive):
    (drive / "train.txt").write_text("0\n1\n")
    (drive / "val.txt").write_text("1\n2\n")
    train, val = str(drive / "train.txt"), str(drive / "val.txt")
    with pytest.raises(UserError, match=r"val.txt: .*'1' of train too"):
        convert(drive, split_by=f"{train},{val}")
    assert not (drive.parent / "out").exists()
    # Nor one after the other.
    convert(drive, split_by=train)
    with pytest.raises(UserError, match="'1' in train and val"):
        convert(drive, split_by=val)


def test_shares_depend_on_seed_and_names_alone(drive):
    images = {str(number): drive / f"{number}.png" for number in range(2000)}

    def assign(images, rule="train:0.7,val:0.2,test:0.1", seed=0):
        return assign_splits(images, rule, join="", seed=seed)

    splits = assign(images)
    assert sorted(chain.from_iterable(splits.values())) == sorted(images)
    # Three standard deviations of a binomial: 3 * sqrt(2000 * .7 * .3) = 61.
    assert abs(len(splits["train"]) - 1400) < 62
    assert abs(len(splits["val"]) - 400) < 54
    assert assign(images, seed=1) != splits
    # More frames move none of the others; a smaller share is part of a larger.
    more = assign({**images, "new": drive / "new.png"})
    for split, keys in splits.items():
        assert set(keys) <= set(more[split])
    fewer = assign(images, "train:0.5,rest:0.5")["train"]
    assert set(fewer) < set(splits["train"])


def test_splits_in_two_commands_are_those_of_one(drive):
    rule = "train:0.5,val:0.5"
    both = names_of(convert(drive, split_by=rule))
    for split in both:
        out = convert(
            drive,
            split_by=rule,
            split=split,
            output_dir=str(drive.parent / "apart"),
        )
    assert names_of(out) == both
    assert len(both) == 2


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"split_by": "nothing.txt"}, "nothing.txt: expected folder, a reg"),
        ({"split_by": "train:0.9,val:0.2"}, "sum to 1 or less"),
        ({"split_by": "train:half"}, "sum to 1 or less"),
        ({"split_by": "a/b:1"}, "--split_by=a/b: expected letters"),
        ({"split_by": "(?P<split>x"}, "a regular expression"),
        ({"split_by": "(?P<split>x)"}, "expected splits, found none"),
        ({"split_by": "folder", "split": "dusk"}, "found day, night"),
    ],
)
def test_mistakes_are_told_in_one_line(drive, flags, message):
    with pytest.raises(UserError, match=re.escape(message)) as error:
        convert(drive, **flags)
    assert "\n" not in str(error.value)
    assert not (drive.parent / "out").exists()


def test_every_split_is_checked_before_one_is_written(drive):
    path = drive / "night" / "cam" / "4.png"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"4\.png: expected a whole PNG"):
        convert(drive, split_by="folder")
    assert not (drive.parent / "out").exists()
