"""CyCADA through the programs: one run, whose last step alone is semantic.

That it is CycleGAN to the last bit until then is tested with the model.
"""

import dataclasses
from pathlib import Path

import pytest
import tensorflow as tf

from kliep_tf import train_task_segmenter
from kliep_tf.data import records
from kliep_tf.data.index import build_index
from kliep_tf.errors import UserError
from kliep_tf.segmentation.networks import export_segmenter
from kliep_tf.train import train
from kliep_tf.train_flags import make_config
from kliep_tf.translate import TranslateConfig, translate
from tests.conftest import eagerly, write_records
from tests.programs.conftest import TINY
from tests.programs.run_directories import copy_run, scalars
from tests.segmentation.small_network import small
from tests.segmentation.test_frozen import TWO, red_logits, save


@pytest.fixture(scope="module")
def config(
    source_records, unlabelled_target, taught_by_the_source, tmp_path_factory
):
    """A run of two steps, the semantic losses in the second."""
    return make_config(
        method="cycada",
        source_records=str(source_records),
        target_records=str(unlabelled_target),
        run_dir=str(tmp_path_factory.mktemp("runs") / "cycada"),
        weights_dir=str(taught_by_the_source),
        segmenter_steps=1,
        semantic_warmup_steps=1,
        # Less to trace.
        identity_weight=0.0,
        **{**TINY, "steps": 2, "num_residual_blocks": 0, "features": "auto"},
    )


@pytest.fixture(scope="module")
def run_dir(config):
    """The directory of the finished run; traced steps: test_replicas.py."""
    with eagerly():
        train(config)
    return Path(config.run_dir)


def test_board_shows_the_semantic_losses_from_the_warmups_end_on(run_dir):
    figures = scalars(run_dir)
    for name in ("semantic/source", "semantic/target"):
        before, after = figures[name]
        assert after > before == 0


def test_its_generator_translates(run_dir, source_records, tmp_path):
    output = tmp_path / "translated"
    translate(
        TranslateConfig(
            saved_model=str(run_dir / "saved_model"),
            source_records=str(source_records),
            output_dir=str(output),
        )
    )
    before, after = (
        {
            example["image/filename"].numpy(): example
            for path in sorted(Path(directory).glob("train-*"))
            for example in map(records.parse_example, records.read_shard(path))
        }
        for directory in (source_records, output)
    )
    assert before.keys() == after.keys()
    for name, example in before.items():
        for key in (records.ENCODED, records.LABEL_ENCODED):
            same = example[key].numpy() == after[name][key].numpy()
            assert same == (key == records.LABEL_ENCODED)


def test_the_segmenter_is_the_one_of_the_flags_of_the_weights_or_its_own(
    config, taught_by_the_source, source_records, tmp_path
):
    source = build_index(sorted(map(str, source_records.glob("train-*"))))

    def chosen(**changes):
        changed = dataclasses.replace(
            config, run_dir=str(tmp_path / "run"), **changes
        )
        return train_task_segmenter.provide(changed, source)

    of_weights = taught_by_the_source / "segmenter"
    assert chosen().args[0] == str(of_weights / "saved_model")
    assert chosen(segmenter="a").args[0] == "a"
    both = {"segmenter": "a", "task_segmenter": "b"}
    assert chosen(**both).args[0] == "b"
    # Without a use, none is loaded or trained.
    assert chosen(semantic_weight=0.0) is None
    # Its own is trained as that of the weights: one that is there already is
    # the same training, finished.
    copy_run(of_weights, tmp_path / "run" / "segmenter")
    own = tmp_path / "run" / "segmenter" / "saved_model"
    graph = own / "saved_model.pb"
    before = graph.stat().st_mtime_ns
    assert chosen().args[0] == str(own)
    assert graph.stat().st_mtime_ns == before


def test_what_it_cannot_train_on_is_one_line(
    config, source_records, run_dir, tmp_path
):
    two = tmp_path / "two"
    export_segmenter(small(2, seed=0), two, TWO)
    bare = write_records(
        tmp_path / "bare", number=2, sky=0.5, bright=True, labelled=False
    )
    pixels = save(tmp_path / "pixels", red_logits, tf.uint8)
    generator = str(run_dir / "saved_model")
    for changes, message in (
        ({"source_records": str(bare)}, "expected labels in --source_records"),
        ({"task_segmenter": str(two)}, "found a segmenter of other classes"),
        ({"task_segmenter": generator}, "expected one input of images"),
        ({"task_segmenter": str(pixels)}, "expected one output of 19 classes"),
        ({"task_segmenter": "missing"}, "expected a SavedModel directory"),
        ({"segmenter": "missing"}, "expected a SavedModel directory"),
        ({"semantic_warmup_steps": 2}, "expected fewer than --steps=2"),
        ({"semantic_weight": -1.0}, "--semantic_weight=-1.0: expected"),
        (
            {"distribution": "multi_worker", "weights_dir": str(tmp_path)},
            "expected a --task_segmenter, found none",
        ),
    ):
        changed = dataclasses.replace(
            config, run_dir=str(tmp_path / "run"), **changes
        )
        with pytest.raises(UserError, match=message) as raised:
            train(changed)
        assert "\n" not in str(raised.value)
        assert not (tmp_path / "run").exists()
