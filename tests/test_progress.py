"""Lines of progress, by a clock that the test turns."""

import time

import pytest

from kliep_tf.progress import ProgressBar


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_speed_is_that_after_the_first_items(clock, capsys):
    """The first step compiles, for 60 seconds; those after it take one."""
    with ProgressBar(31, "training", "step") as bar:
        for seconds in (60, *[1] * 30):
            clock[0] += seconds
            bar.update()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "training: 1/31 steps"
    assert lines[1] == "training: 12/31 steps, 1 steps/s, 19 s left"
    # At the end, of all.
    assert lines[-1] == "training: 31/31 steps, 0.344 steps/s, 0 s left"


def test_what_was_done_earlier_is_no_speed(clock, capsys):
    with ProgressBar(1000, "training", "step", initial=500) as bar:
        for _ in range(3):
            clock[0] += 20
            bar.update(10)
    assert capsys.readouterr().err.splitlines() == [
        "training: 510/1000 steps",
        "training: 520/1000 steps, 0.5 steps/s, 960 s left",
        "training: 530/1000 steps, 0.5 steps/s, 940 s left",
        "training: 530/1000 steps, 0.5 steps/s, 940 s left",
    ]
