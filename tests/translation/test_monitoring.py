"""Pictures hold what they should; warnings come when, and only when, due."""

import numpy as np
import pytest

from kliep_tf.translation.monitoring import CollapseWatch, draw_grid

# Two images of 4x4: noise of deviation 0.5 around two different gray levels.
IMAGES = np.random.default_rng(0).normal(0, 0.5, (2, 4, 4, 3))


@pytest.fixture
def warned():
    return []


@pytest.fixture
def watch(warned):
    # A twentieth of 10,000 steps: a patience of 500.
    return CollapseWatch(10_000, lambda step, text: warned.append((step, text)))


def show_losses(watch, losses, name="discriminator/target"):
    for step, loss in enumerate(losses, start=1):
        watch.see_losses(100 * step, {name: loss})


def test_a_loss_of_another_unit_is_low_in_that_unit(warned):
    # UNIT of 2018 sums three scales and halves nothing: six times as much.
    watch = CollapseWatch(
        10_000, lambda step, text: warned.append(text), loss_unit=6.0
    )
    show_losses(watch, [0.07] * 20)
    assert not warned
    show_losses(watch, [0.05] * 20)
    assert len(warned) == 1 and "below 0.06 since" in warned[0]


def test_discriminator_near_0_for_long_is_told_once(watch, warned):
    show_losses(watch, [0.25, 0.2, *[0.001] * 20])
    ((step, text),) = warned
    assert step == 800  # low from step 300 on, and 500 more
    assert "discriminator/target" in text
    assert "since step 300" in text


def test_patience_starts_anew_when_the_generator_answers(watch, warned):
    show_losses(watch, 10 * [0.001, 0.001, 0.001, 0.25])
    assert not warned


def test_each_collapse_is_told(watch, warned):
    show_losses(watch, [*[0.001] * 10, 0.25, *[0.001] * 10])
    assert [step for step, _ in warned] == [600, 1700]


def test_healthy_discriminators_and_vanished_other_losses_say_nothing(
    watch, warned
):
    show_losses(watch, [0.05] * 100)
    show_losses(watch, [0.0] * 100, name="identity/source")
    assert not warned


def test_short_trainings_are_given_200_steps(warned):
    watch = CollapseWatch(10, lambda *line: warned.append(line))
    watch.see_losses(1, {"discriminator/source": 0.0})
    watch.see_losses(200, {"discriminator/source": 0.0})
    assert not warned
    watch.see_losses(201, {"discriminator/source": 0.0})
    assert len(warned) == 1


def test_flat_output_is_told(watch, warned):
    flat = np.ones_like(IMAGES) * [[[[0.5]]], [[[-0.5]]]]
    watch.see_outputs(7, "source_to_target", IMAGES, flat)
    ((step, text),) = warned
    assert step == 7
    assert "source_to_target turns images into one flat colour" in text


def test_outputs_of_black_and_white_alone_are_told(watch, warned):
    black_and_white = np.where(IMAGES > 0, 1.0, -1.0)
    watch.see_outputs(7, "source_to_target", IMAGES, black_and_white)
    ((_, text),) = warned
    assert "makes 100% of all values black or white" in text
    assert "lower --learning_rate" in text


def test_discriminator_beyond_what_its_loss_asks_for_is_told(watch, warned):
    watch.see_losses(7, {"discriminator/target": 2e12, "cycle/source": 2e12})
    ((step, text),) = warned
    assert step == 7
    assert "discriminator/target is 2e+12" in text


def test_same_output_for_all_is_told(watch, warned):
    same = np.stack([IMAGES[0], IMAGES[0]])
    watch.see_outputs(7, "source_to_target", IMAGES, same)
    ((_, text),) = warned
    assert "makes the same image of every example" in text


def test_outputs_as_varied_as_the_inputs_say_nothing(watch, warned):
    watch.see_outputs(7, "source_to_target", IMAGES, -IMAGES)
    assert not warned


def test_equal_or_single_inputs_cannot_show_a_collapse(watch, warned):
    equal = np.stack([IMAGES[0], IMAGES[0]])
    watch.see_outputs(7, "source_to_target", equal, equal)
    watch.see_outputs(7, "source_to_target", IMAGES[:1], IMAGES[:1])
    assert not warned


def test_by_default_the_line_goes_to_stderr(capsys):
    CollapseWatch(10).see_outputs(3, "target_to_source", IMAGES, 0 * IMAGES)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: step 3: target_to_source turns")


def flat(values, height, width):
    """Returns images [n, H, W, 3] of one value each."""
    ones = np.ones((len(values), height, width, 3), np.float32)
    return ones * np.float32(values)[:, None, None, None]


def box(grid, gray):
    """Returns top, bottom, left and right of what has one gray level."""
    rows, columns = np.nonzero((grid == gray).all(-1))
    return rows.min(), rows.max() + 1, columns.min(), columns.max() + 1


def test_every_example_stands_in_its_row_under_its_heading():
    columns = {"": flat([-1, -0.5], 8, 256), " ": flat([0, 0.5], 8, 256)}
    grid = draw_grid(columns)
    # round((value + 1) * 127.5), half to even
    boxes = {gray: box(grid, gray) for gray in (0, 64, 128, 191)}
    for top, bottom, left, right in boxes.values():
        assert (bottom - top, right - left) == (8, 256)
    assert boxes[0][:2] == boxes[128][:2] and boxes[64][:2] == boxes[191][:2]
    assert boxes[0][2:] == boxes[64][2:] and boxes[128][2:] == boxes[191][2:]
    # Apart from each other and from the headings, and nothing beyond.
    assert 0 < boxes[0][0] < boxes[0][1] < boxes[64][0]
    assert boxes[0][2] == 0 and boxes[0][3] < boxes[128][2]
    assert grid.shape == (boxes[191][1], boxes[191][3], 3)


def test_headings_are_written_above_their_columns():
    image = flat([0], 8, 256)
    written, unwritten = (
        draw_grid({"a": image, heading: image})
        for heading in ("translated to source", "")
    )
    # The images themselves are 128 gray, ink is darker.
    ink, none = ((grid < 100).any((0, 2)) for grid in (written, unwritten))
    (right_column,) = set(np.flatnonzero(ink != none) >= 256)
    assert right_column
    # It fits: nothing is cut off at the right.
    assert not ink[-4:].any()


def test_small_images_are_enlarged_pixel_by_pixel():
    image = np.linspace(-1, 1, 2 * 64 * 3, dtype=np.float32)
    grid = draw_grid({"": image.reshape(1, 2, 64, 3)})[-8:]
    assert grid.shape == (8, 256, 3)
    pixels = np.round((image.reshape(2, 64, 3) + 1) * 127.5)
    np.testing.assert_array_equal(grid[::4, ::4], pixels)
    np.testing.assert_array_equal(grid[3::4, 3::4], pixels)


def test_large_frames_are_shrunk():
    grid = draw_grid({"": flat([0], 512, 1024)})
    top, bottom, left, right = box(grid, 128)
    assert (bottom - top, right - left) == (256, 512)
