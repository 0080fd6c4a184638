"""What an image is, its bytes say: whatever a record calls its format."""

import io
import re

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kliep_tf.data import pipeline, records
from kliep_tf.data.examples import read_example
from kliep_tf.data.index import build_index
from kliep_tf.data.reading import read_all
from kliep_tf.errors import UserError
from tests.conftest import ROOT

# An even colour, which JPEG keeps to a level.
PIXELS = np.full((8, 16, 3), (200, 100, 50), np.uint8)
SPELLED = (b"png", b"PNG", b".Png", b"jpg", b"JPEG", b"image/jpeg", b"", b"x")


def encoded(kind):
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, kind, lossless=True)
    return buffer.getvalue()


def write(directory, images):
    """Writes (encoded image, its format as it is spelled or None)."""
    examples = []
    for number, (image, spelled) in enumerate(images):
        data = records.encode_example(
            image, filename=f"frame_{number}", height=8, width=16
        )
        example = tf.train.Example.FromString(data)
        feature = example.features.feature
        del feature[records.FORMAT]
        if spelled is not None:
            feature[records.FORMAT].bytes_list.value.append(spelled)
        examples.append(example.SerializeToString())
    path = directory / records.shard_name("train", 0, 1)
    records.write_shard(path, examples)
    return [str(path)]


def test_pixels_are_right_however_the_format_is_spelled(tmp_path):
    images = [
        (encoded(kind), spelled)
        for kind in ("PNG", "JPEG", "WEBP")
        for spelled in (*SPELLED, None)
    ]
    paths = write(tmp_path, images)
    found = [
        example.image
        for example in read_all(pipeline.make_image_dataset(paths), "records")
    ]
    index = build_index(paths)
    found += [read_example(index, row).image for row in range(len(index))]
    assert len(found) == 2 * len(images)
    for image in found:
        assert image.shape == PIXELS.shape
        assert np.abs(image.astype(int) - PIXELS).max() <= 1


def test_other_kinds_are_refused_by_name_though_called_png(tmp_path):
    paths = write(tmp_path, [(encoded("TIFF"), b"png")])
    with pytest.raises(UserError, match=r"damaged one in 'frame_0'") as error:
        list(read_all(pipeline.make_image_dataset(paths), "records", paths))
    assert str(error.value).startswith(f"--records: {paths[0]}, record 0: ")


def test_images_of_records_are_decoded_in_one_place():
    """So what holds of the readers above holds of every program."""
    decoding = re.compile(r"\btf\.(io|image)\.decode_(image|png|jpeg|bmp|gif)")
    found = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "kliep_tf").rglob("*.py")
        if decoding.search(path.read_text(encoding="utf-8"))
    }
    assert found == {"kliep_tf/data/images.py"}
