import numpy as np
import pytest

from kliep_tf.data.confusions import (
    FrameConfusions,
    join,
    load_confusions,
    save_confusions,
)
from kliep_tf.errors import UserError


def _frames(*names: str) -> FrameConfusions:
    matrices = np.stack([np.eye(3, dtype=np.int64) * len(n) for n in names])
    return FrameConfusions(np.array(names), matrices)


def test_frames_come_back_as_they_were_saved(tmp_path):
    frames = _frames("a", "aachen_000000_000019")
    save_confusions(tmp_path / "frames.npz", frames)
    found = load_confusions(tmp_path / "frames.npz")
    np.testing.assert_array_equal(found.filenames, frames.filenames)
    np.testing.assert_array_equal(found.matrices, frames.matrices)
    assert found.matrices.dtype == np.int64


def test_parts_are_joined_in_order():
    whole = join([_frames("a"), _frames("longer", "b")])
    assert whole.filenames.tolist() == ["a", "longer", "b"]
    assert whole.matrices[:, 0, 0].tolist() == [1, 6, 1]
    assert len(whole) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "found no file"), (b"no zip", "found something else")],
)
def test_what_is_no_such_file_is_named(content, message, tmp_path):
    path = tmp_path / "frames.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        load_confusions(path)
