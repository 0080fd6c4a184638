"""Shards by Apache Beam against shards made here, byte for byte.

Skipped where the extra [beam] is not installed.
"""

import importlib.util

import numpy as np
import pytest
import tensorflow as tf

from kliep_tf import cli
from kliep_tf.data import weights
from kliep_tf.errors import UserError
from kliep_tf.estimate_weights import EstimateConfig, estimate
from kliep_tf.shard_runners import RunnerFlags, check_runner
from kliep_tf.translate import TranslateConfig, translate
from tests.tfrecords_tools.raw_folders import (
    frame_pixels,
    shard_bytes,
    write_gta5_frame,
)
from tfrecords_tools.attach_weights import AttachWeightsConfig, attach_weights
from tfrecords_tools.convert_gta5 import ConvertGta5Config, convert_gta5

HAS_BEAM = importlib.util.find_spec("apache_beam") is not None
needs_beam = pytest.mark.skipif(
    not HAS_BEAM, reason="needs apache-beam, of the extra [beam]"
)
# Two processes of Beam's own.
WORKERS = "--direct_num_workers=2 --direct_running_mode=multi_processing"
ON_BEAM = {"runner": "DirectRunner", "beam_options": WORKERS}
IN_PROCESS = {
    "runner": "DirectRunner",
    "beam_options": "--direct_num_workers=2 "
    "--direct_running_mode=multi_threading",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("beam") / "gta5"
    for number in range(6):
        write_gta5_frame(root, f"{number:05d}", *frame_pixels(number))
    return root


def convert(folder, output_dir, **flags):
    convert_gta5(
        ConvertGta5Config(
            input_dir=str(folder),
            output_dir=str(output_dir),
            num_shards=3,
            num_workers=0,
            **flags,
        )
    )
    return output_dir


@pytest.fixture(scope="module")
def records_dir(folder):
    return convert(folder, folder.parent / "records")


@needs_beam
def test_two_processes_convert_to_the_same_bytes(folder, records_dir, tmp_path):
    out = convert(folder, tmp_path / "out", **ON_BEAM)
    assert shard_bytes(out) == shard_bytes(records_dir)
    # Nothing else is left, and what is missing is made again.
    left = {path.name for path in out.iterdir()} - set(shard_bytes(out))
    assert left == {".lock", "config.json", "dataset.json"}
    (out / "all-00001-of-00003.tfrecord").unlink()
    convert(folder, out, **IN_PROCESS)
    assert shard_bytes(out) == shard_bytes(records_dir)


@needs_beam
def test_weights_attached_by_beam_are_the_same_bytes(records_dir, tmp_path):
    names = np.array([f"{number:05d}" for number in range(6)])
    (tmp_path / "weights").mkdir()
    for domain in weights.DOMAINS:
        values = weights.ImportanceWeights(domain, names, np.arange(6) / 2.5)
        weights.save_weights(tmp_path / "weights", values)
    for name, flags in (("here", {}), ("beam", IN_PROCESS)):
        attach_weights(
            AttachWeightsConfig(
                records=str(records_dir),
                weights_dir=str(tmp_path / "weights"),
                domain="source",
                output_dir=str(tmp_path / name),
                **flags,
            )
        )
    here = shard_bytes(tmp_path / "here")
    assert len(here) == 3
    assert shard_bytes(tmp_path / "beam") == here


@needs_beam
def test_translations_by_beam_are_the_same_bytes(records_dir, tmp_path):
    negative = tf.Module()
    negative.call = tf.function(
        lambda images: {"translated": 255 - images},
        input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)],
    )
    tf.saved_model.save(
        negative,
        str(tmp_path / "model"),
        signatures={"translate_uint8": negative.call},
    )
    for name, flags in (("here", {}), ("beam", IN_PROCESS)):
        translate(
            TranslateConfig(
                saved_model=str(tmp_path / "model"),
                source_records=str(records_dir),
                output_dir=str(tmp_path / name),
                **flags,
            )
        )
    here = shard_bytes(tmp_path / "here")
    assert len(here) == 3
    assert shard_bytes(tmp_path / "beam") == here != shard_bytes(records_dir)


@needs_beam
def test_features_by_beam_are_the_same_bytes(records_dir, tmp_path):
    for name, flags in (("here", {}), ("beam", IN_PROCESS)):
        estimate(
            EstimateConfig(
                source_records=str(records_dir),
                target_records=str(records_dir),
                weights_dir=str(tmp_path / name),
                features="thumbnail",
                bandwidth="0.5",
                **flags,
            )
        )
    for name in ("source_features.npz", "target_features.npz"):
        here, beam = (tmp_path / run / name for run in ("here", "beam"))
        assert here.read_bytes() == beam.read_bytes()


@needs_beam
def test_a_workers_mistake_is_told_in_one_line(folder, tmp_path):
    # A value that the map does not list is found when the file is decoded.
    (tmp_path / "map.csv").write_text("id,class\n7,road\n")
    with pytest.raises(UserError, match=r"\.png: expected the ids 7 of") as e:
        convert(
            folder,
            tmp_path / "out",
            label_map=str(tmp_path / "map.csv"),
            **IN_PROCESS,
        )
    assert "\n" not in str(e.value)
    assert "while running" not in str(e.value)


@needs_beam
def test_unknown_runner_is_refused_before_any_work():
    with pytest.raises(UserError, match="--runner=SlowRunner: expected local"):
        check_runner(RunnerFlags(runner="SlowRunner"))


@pytest.mark.skipif(HAS_BEAM, reason="Beam is installed")
def test_missing_beam_says_what_to_install(folder, tmp_path):
    with pytest.raises(UserError, match=r"pip install 'kliep_tf\[beam\]'"):
        convert(folder, tmp_path / "out", **ON_BEAM)
    assert not (tmp_path / "out").exists()


def test_options_of_beam_need_a_runner_of_beam():
    with pytest.raises(UserError, match="--beam_options: expected a --runner"):
        check_runner(RunnerFlags(beam_options=WORKERS))


@pytest.mark.parametrize(
    "config",
    [ConvertGta5Config, AttachWeightsConfig, EstimateConfig, TranslateConfig],
)
def test_every_function_of_a_shard_has_the_flags(config):
    assert issubclass(config, RunnerFlags)
    assert "--runner=TEXT" in cli.help_text(check_runner, config)
