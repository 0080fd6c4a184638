"""What labels of the target buy, on scenes of sky and road."""

import json
from pathlib import Path

import numpy as np
import pytest

from kliep_tf import runs
from kliep_tf.data.features import Features
from kliep_tf.data.index import build_index
from kliep_tf.data.reading import labelled_examples
from kliep_tf.data.records import resolve_records
from kliep_tf.data.weights import ImportanceWeights
from kliep_tf.errors import UserError
from kliep_tf.experiments.label_study.plan import LabelStudyConfig, rows
from kliep_tf.experiments.reporting.weight_judge import Judge
from kliep_tf.experiments.running import hidden_labels
from kliep_tf.experiments.target_labels import study


def test_labels_are_hidden_but_for_some(target_records, tmp_path):
    shards = resolve_records(target_records, "records")
    names = build_index(shards).filenames
    keep = hidden_labels.draw_names(names, 3, seed=0, draw=1)
    hidden_labels.hide_labels(shards, set(keep), tmp_path / "hidden")
    hidden = resolve_records(tmp_path / "hidden", "records")
    found = build_index(hidden)
    assert found.filenames.tolist() == names.tolist()
    labelled = labelled_examples(hidden)
    assert set(found.filenames[labelled]) == set(keep)


def test_larger_draws_contain_smaller_ones():
    names = [f"{number:02}" for number in range(20)]
    small, large = (hidden_labels.draw_names(names, n, 0, 0) for n in (3, 8))
    assert large[:3] == small
    assert hidden_labels.draw_names(names, 8, 0, 1) != large


def test_distance_of_weighted_domains():
    # Half of the source is sky; of the target, all is.
    names = np.array(["sky", "road"])
    source = Features(np.array(["a", "b"]), np.eye(2), names)
    target = Features(np.array(["c"]), np.array([[1.0, 0.0]]), names)
    judge = Judge({"source": source, "target": target}, {})
    assert set(judge.equal_weights()["distance"].values()) == {0.5}
    # Joined by filename, whatever the order.
    found = judge.judge(
        ImportanceWeights("source", np.array(["b", "a"]), np.array([0.5, 1.5])),
        ImportanceWeights("target", np.array(["c"]), np.ones(1)),
    )
    # 1.5 of 2 weights are on the sky; its roots make 1.22 of 1.93.
    assert found["distance"]["both"] == pytest.approx(0.25)
    assert found["distance"]["target"] == pytest.approx(0.5)
    assert found["distance"]["half"] == pytest.approx(0.366, abs=1e-3)
    # Overlap weights 2 w / (1 + w): 1.2 on the sky, 2 / 3 on the road.
    assert found["distance"]["overlap"] == pytest.approx(0.357, abs=1e-3)


def test_study_of_two_rows(source_records, target_records, tiny, ran, tmp_path):
    """All labels; and none, but a segmenter instead, which is given."""
    segmenter, *_ = (
        job.output_dir(Path(tiny["cache_dir"])) / runs.SAVED_MODEL
        for job in ran
        if job.module == "kliep_tf.train_segmenter"
    )
    config = LabelStudyConfig(
        output_dir=str(tmp_path / "study"),
        source_records=str(source_records),
        target_records=str(target_records),
        labelled=("all",),
        segmenters=(str(segmenter),),
    )
    study(config)
    found = json.loads((tmp_path / "study" / "target_labels.json").read_text())
    whole, none = found["rows"]
    assert whole["distance"]["source"] < found["equal"]["distance"]["source"]
    assert none["labelled"] == 0
    hidden = resolve_records(tmp_path / "study/records/0-0", "records")
    assert not labelled_examples(hidden).any()
    text = (tmp_path / "study" / "target_labels.md").read_text()
    assert "| no weights " in text
    assert (tmp_path / "study" / "target_labels.png").exists()


def test_rows_repeat_what_is_drawn():
    config = LabelStudyConfig(
        output_dir="", source_records="", target_records="", num_draws=2
    )
    names = [row.name for row in rows(config)]
    assert names[:5] == ["all", "0-both", "0", "5-0", "5-1"]
    numbers = [row.labelled for row in rows(config)]
    assert numbers[:5] == [None, 0, 0, 5, 5]


def test_a_number_that_is_none_is_named():
    config = LabelStudyConfig(
        output_dir="", source_records="", target_records="", labelled=("ten",)
    )
    with pytest.raises(UserError, match=r"--labelled=ten: expected numbers"):
        rows(config)
