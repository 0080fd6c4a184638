import numpy as np

from kliep_tf.data.class_sets import CITYSCAPES_CLASSES
from kliep_tf.data.features import Features
from kliep_tf.experiments.demo_run.report import choose_frames

SKY = CITYSCAPES_CLASSES.index("sky")


def test_frames_are_chosen_by_their_sky_alone():
    shares = np.zeros((8, 19), np.float32)
    shares[:, SKY] = [0.7, 0.1, 0.2, 0.0, 0.3, 0.6, 0.5, 0.4]
    histogram = Features(
        np.array(list("abcdefgh")), shares, np.array(CITYSCAPES_CLASSES.names)
    )
    # In order of sky: d b c e h g f a; one of each quarter.
    assert choose_frames(histogram, CITYSCAPES_CLASSES, 4) == [
        "b",
        "e",
        "g",
        "a",
    ]
    everything = choose_frames(histogram, CITYSCAPES_CLASSES, 20)
    assert everything == list("dbcehgfa")
