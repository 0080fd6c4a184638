"""Scores and files held to cityscapesScripts, whose numbers are published."""

import json

import numpy as np
import pytest
from PIL import Image

from kliep_tf.data.class_sets import CITYSCAPES_CLASSES
from kliep_tf.evaluate import EvaluateConfig, evaluate
from kliep_tf.segmentation.metrics import CITYSCAPES_CATEGORIES

reference = pytest.importorskip(
    "cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling"
)
cityscapes_labels = pytest.importorskip("cityscapesscripts.helpers.labels")

CLASS_NAMES = CITYSCAPES_CLASSES.names
BUS, TRAIN, MOTORCYCLE = (
    CLASS_NAMES.index(name) for name in ("bus", "train", "motorcycle")
)


def _frames() -> list[tuple[np.ndarray, np.ndarray]]:
    """Three frames with every sort of class: common, rare, absent."""
    rng, frames = np.random.default_rng(0), []
    for _ in range(3):
        label = rng.integers(0, 19, (12, 20)).astype(np.uint8)
        label[label == BUS] = 0  # neither labelled nor predicted
        label[label == TRAIN] = 1  # predicted, but never labelled
        prediction = label.copy()
        wrong = rng.random(label.shape) < 0.3
        prediction[wrong] = rng.integers(0, 19, wrong.sum())
        prediction[prediction == BUS] = 2
        prediction[prediction == MOTORCYCLE] = 3  # labelled, never predicted
        label[rng.random(label.shape) < 0.1] = 255
        image = np.repeat(prediction[..., None], 3, axis=-1)
        frames.append((image, label))
    return frames


@pytest.fixture(scope="module")
def evaluated(red_is_the_class, write_records, tmp_path_factory):
    """Our report, and theirs of the predictions that we wrote."""
    directory = tmp_path_factory.mktemp("evaluation")
    frames = _frames()
    output = directory / "report"
    evaluate(
        EvaluateConfig(
            segmenter=str(red_is_the_class),
            records=str(write_records(directory / "records", frames)),
            output_dir=str(output),
            write_predictions=True,
        )
    )
    ours = json.loads((output / "report.json").read_text())
    truth = directory / "truth"
    truth.mkdir()
    to_ids = CITYSCAPES_CLASSES.raw_ids()
    labels = []
    for number, (_, label) in enumerate(frames):
        path = truth / f"frame_{number:03d}_gtFine_labelIds.png"
        ids = np.where(label == 255, 0, to_ids[label]).astype(np.uint8)
        Image.fromarray(ids).save(path)
        labels.append(str(path))
    predictions = sorted(map(str, (output / "predictions").iterdir()))
    return ours, _evaluate_with_cityscapesscripts(predictions, labels)


def _evaluate_with_cityscapesscripts(predictions, labels) -> dict:
    arguments = reference.args
    # Broken beside NumPy 2.4, and about instances only.
    arguments.evalInstLevelScore = False
    arguments.JSONOutput = False
    arguments.quiet = True
    return reference.evaluateImgLists(predictions, labels, arguments)


def test_class_scores_are_the_same_number(evaluated):
    ours, theirs = evaluated
    for name in CLASS_NAMES:
        found, expected = (
            ours["per_class_iou"][name],
            theirs["classScores"][name],
        )
        if np.isnan(expected):
            assert found is None, name
        else:
            assert found == expected, name
    assert ours["per_class_iou"]["bus"] is None
    assert ours["per_class_iou"]["train"] == 0.0
    assert ours["per_class_iou"]["motorcycle"] == 0.0


def test_averages_are_the_same_number(evaluated):
    ours, theirs = evaluated
    assert ours["mean_iou"] == pytest.approx(
        theirs["averageScoreClasses"], rel=1e-14
    )
    assert ours["mean_category_iou"] == pytest.approx(
        theirs["averageScoreCategories"], rel=1e-14
    )


def test_category_scores_are_the_same_number(evaluated):
    ours, theirs = evaluated
    assert ours["per_category_iou"] == {
        name: score
        for name, score in theirs["categoryScores"].items()
        if name != "void"
    }


def test_categories_are_theirs():
    theirs = {}
    for label in cityscapes_labels.labels:
        if not label.ignoreInEval:
            theirs.setdefault(label.category, []).append(label.name)
    assert {
        name: sorted(found) for name, found in CITYSCAPES_CATEGORIES.items()
    } == {name: sorted(found) for name, found in theirs.items()}
