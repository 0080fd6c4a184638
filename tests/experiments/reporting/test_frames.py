import numpy as np

from kliep_tf.data.class_sets import CITYSCAPES_CLASSES
from kliep_tf.experiments.reporting.frames import (
    frames_across,
    read_frames,
    spread_evenly,
)


def test_names_are_spread_over_the_order_of_their_values():
    values = [0.7, 0.1, 0.2, 0.0, 0.3, 0.6, 0.5, 0.4]
    # In order: d b c e h g f a; one of each quarter.
    assert spread_evenly(list("abcdefgh"), values, 4) == ["b", "e", "g", "a"]
    assert spread_evenly(list("abcdefgh"), values, 20) == list("dbcehgfa")


def test_frames_are_chosen_by_a_class_of_their_labels(source_records):
    names = frames_across(str(source_records), 3, CITYSCAPES_CLASSES, "sky")
    sky = [
        np.mean(frame.label == CITYSCAPES_CLASSES.index("sky"))
        for frame in read_frames(str(source_records), names)
    ]
    assert sky == sorted(sky)
    assert sky[0] < sky[-1]


def test_without_that_class_frames_are_spread_over_their_names(source_records):
    names = frames_across(str(source_records), 3, CITYSCAPES_CLASSES, "lake")
    # Of 24 names, the middle of each third.
    assert names == ["00004", "00012", "00020"]
