import json

import numpy as np
import pytest

from kliep_tf.data.class_sets import (
    CITYSCAPES_CLASSES,
    ClassSet,
    LabelClass,
    require_same_classes,
)
from kliep_tf.errors import UserError

THREE = ClassSet(
    "three",
    (
        LabelClass("ground", (128, 64, 128), (7, 8)),
        LabelClass("things", (70, 70, 70), (11,)),
        LabelClass("sky", (70, 130, 180), (23,)),
    ),
)


def test_cityscapes_are_the_19_evaluated_classes_of_cityscapesscripts():
    labels = pytest.importorskip("cityscapesscripts.helpers.labels").labels
    evaluated = {one.trainId: one for one in labels if 0 <= one.trainId < 19}
    assert len(CITYSCAPES_CLASSES) == 19
    for train_id, one in enumerate(CITYSCAPES_CLASSES.classes):
        other = evaluated[train_id]
        assert (one.name, one.color) == (other.name, other.color)
        assert one.raw_ids == (other.id,)


def test_several_raw_ids_become_one_train_id_and_the_rest_is_ignored():
    table = THREE.train_ids()
    assert [table[raw] for raw in (7, 8, 11, 23)] == [0, 0, 1, 2]
    assert np.count_nonzero(table != 255) == 4


def test_a_train_id_becomes_its_first_raw_id():
    assert THREE.raw_ids()[:4].tolist() == [7, 11, 23, 0]


def test_json_keeps_a_class_set():
    text = json.dumps(THREE.to_json())
    assert ClassSet.from_json(json.loads(text), "dataset.json") == THREE


@pytest.mark.parametrize(
    "change",
    [
        {"classes": []},
        {"classes": 3},
        {"classes": [{"name": "sky", "color": [1, 2], "raw_ids": []}]},
        {"classes": [{"name": "sky", "color": [1, 2, 256], "raw_ids": []}]},
        {"ignore_label": 2},
        {"ignore_label": "none"},
    ],
)
def test_json_of_no_class_set_is_one_line(change):
    with pytest.raises(UserError, match="expected"):
        ClassSet.from_json({**THREE.to_json(), **change}, "dataset.json")


def test_a_name_may_stand_once():
    sky = LabelClass("sky", (0, 0, 0))
    with pytest.raises(UserError, match="'sky' repeated"):
        ClassSet("twice", (sky, sky))


def test_colors_and_raw_ids_do_not_keep_two_datasets_apart():
    other = ClassSet(
        "other", tuple(LabelClass(name, (0, 0, 0)) for name in THREE.names)
    )
    assert require_same_classes(THREE, "a", other, "b") is THREE


def test_other_names_keep_two_datasets_apart():
    with pytest.raises(
        UserError, match=r"b: expected the 3 classes of a \(ground, things, sky"
    ):
        require_same_classes(THREE, "a", CITYSCAPES_CLASSES, "b")


def test_a_class_that_is_not_there_is_named():
    with pytest.raises(UserError, match="found 'tree'"):
        THREE.index("tree")


def test_palette_colors_the_ids_of_label_files():
    palette = THREE.palette()
    assert palette[7].tolist() == [128, 64, 128]
    assert palette[23].tolist() == [70, 130, 180]
    assert palette[8].tolist() == [0, 0, 0]  # a second id is never written


def test_a_set_of_colors_alone_writes_its_train_ids():
    sky = ClassSet("one", (LabelClass("sky", (1, 2, 3)),))
    assert sky.raw_ids()[[0, 255]].tolist() == [0, 255]
    assert sky.palette()[0].tolist() == [1, 2, 3]
