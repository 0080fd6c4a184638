import numpy as np

from kliep_tf.translation.grids import draw_grid

HEADING, GAP = 36, 4


def flat(values, height, width):
    """Returns images [n, H, W, 3] of one value each."""
    ones = np.ones((len(values), height, width, 3), np.float32)
    return ones * np.float32(values)[:, None, None, None]


def test_every_example_stands_in_its_row_under_its_heading():
    columns = {"left": flat([-1, 1], 8, 256), "right": flat([0, -1], 8, 256)}
    grid = draw_grid(columns)
    assert grid.shape == (HEADING + 8 + GAP + 8, 256 + GAP + 256, 3)
    body = grid[HEADING:]
    assert (body[:8, :256] == 0).all()
    assert (body[8 + GAP :, :256] == 255).all()
    # round((0 + 1) * 127.5), half to even
    assert (body[:8, 256 + GAP :] == 128).all()
    assert (body[8 + GAP :, 256 + GAP :] == 0).all()
    assert (body[8 : 8 + GAP] == 255).all()


def test_headings_are_written_above_their_columns():
    image = flat([0], 8, 256)
    ink = [
        (draw_grid({"a": image, heading: image})[:HEADING] < 128).any((0, 2))
        for heading in ("translated to source", "")
    ]
    written, unwritten = ink
    assert written[256 + GAP :].any() and not unwritten[256 + GAP :].any()
    # It fits: nothing is cut off at the right.
    assert not written[-GAP:].any()
    np.testing.assert_array_equal(written[:256], unwritten[:256])


def test_small_images_are_enlarged_pixel_by_pixel():
    image = np.linspace(-1, 1, 2 * 64 * 3, dtype=np.float32)
    grid = draw_grid({"": image.reshape(1, 2, 64, 3)})[HEADING:]
    assert grid.shape == (8, 256, 3)
    pixels = np.round((image.reshape(2, 64, 3) + 1) * 127.5)
    np.testing.assert_array_equal(grid[::4, ::4], pixels)
    np.testing.assert_array_equal(grid[3::4, 3::4], pixels)


def test_large_frames_are_shrunk():
    grid = draw_grid({"": flat([1], 512, 1024)})
    assert grid.shape == (HEADING + 256, 512, 3)
