"""The experiments around the programs that they run.

What the programs leave (reports, records, SavedModels) is written here in their
formats, and every command is held to the flags of its program.
"""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from kliep_tf import cli, runs
from kliep_tf.data.datasets import NUM_CLASSES
from kliep_tf.errors import UserError
from kliep_tf.estimate_weights import EstimateConfig
from kliep_tf.evaluate import EvaluateConfig
from kliep_tf.experiments import cohorts, comparison, exponents, recipes, table1
from kliep_tf.experiments.jobs import Job, in_order
from kliep_tf.train import TrainConfig
from kliep_tf.train_segmenter import TrainSegmenterConfig
from kliep_tf.translate import TranslateConfig
from tests.conftest import ROOT

METHODS = ("plain:0:0", "weighted:1:0.5")
CONFIGS = {
    "kliep_tf.estimate_weights": EstimateConfig,
    "kliep_tf.train": TrainConfig,
    "kliep_tf.translate": TranslateConfig,
    "kliep_tf.train_segmenter": TrainSegmenterConfig,
    "kliep_tf.evaluate": EvaluateConfig,
}
SKY, VEGETATION = 10, 8


@pytest.fixture(scope="module")
def common(source_records, target_records, tmp_path_factory):
    """Flags of all three experiments."""
    return {
        "source_records": str(source_records),
        "target_records": str(target_records),
        "val_records": str(target_records),
        "cache_dir": str(tmp_path_factory.mktemp("cache")),
        "num_seeds": 2,
    }


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory):
    """A segmenter that sees sky everywhere."""

    class Everywhere(tf.Module):
        @tf.function(
            input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)]
        )
        def __call__(self, images):
            shape = tf.shape(images)[:3]
            return {"logits": tf.one_hot(tf.fill(shape, SKY), NUM_CLASSES)}

    path = tmp_path_factory.mktemp("segmenter") / "model"
    module = Everywhere()
    tf.saved_model.save(module, str(path), {"serving_default": module.__call__})
    return path


def confusion_of(job: Job) -> list[list[int]]:
    """A confusion matrix of its own for each evaluation."""
    matrix = np.zeros((NUM_CLASSES, NUM_CLASSES), int)
    matrix[SKY, SKY] = 10 + int(job.digest, 16) % 90
    matrix[SKY, VEGETATION] = 100 - matrix[SKY, SKY]
    return matrix.tolist()


def leave_what_programs_do(jobs, cache: Path, records: Path, model: Path):
    for job in in_order(jobs):
        if job.is_complete(cache):
            continue
        directory = job.output_dir(cache)
        config = EvaluateConfig("", "", "")
        with runs.claim(directory, job.module, config) as claim:
            if job.module == "kliep_tf.translate":
                shutil.copytree(records, directory, dirs_exist_ok=True)
            if job.module == "kliep_tf.train_segmenter":
                shutil.copytree(model, directory / runs.SAVED_MODEL)
            if job.module == "kliep_tf.evaluate":
                report = {"confusion_matrix": confusion_of(job)}
                (directory / "report.json").write_text(json.dumps(report))
            claim.finish()


def study_jobs(study, setting):
    scored = comparison.segmentations(setting, study.rows)
    judged = comparison.judgements(setting, study.rows)
    return scored, judged


def read_json(directory: Path, name: str):
    return json.loads((directory / name).read_text())


def test_the_mean_is_over_the_labelled_classes(common, tmp_path):
    setting = recipes.make_setting(
        table1.Table1Config(output_dir="x", **common)
    )
    row = comparison.same_images_row("source", setting.source, 1)
    jobs = comparison.judgements(setting, [row])
    directory = jobs["source", 0].output_dir(tmp_path)
    directory.mkdir(parents=True)
    # 60 of 100 sky pixels are seen as sky, 40 as vegetation, of which there
    # is none: its IoU of 0 is no second class to average over.
    matrix = np.zeros((NUM_CLASSES, NUM_CLASSES), int)
    matrix[SKY, [SKY, VEGETATION]] = 60, 40
    report = {"confusion_matrix": matrix.tolist()}
    (directory / "report.json").write_text(json.dumps(report))
    found = comparison.read_numbers(jobs, tmp_path)["source"]
    assert found["mean_iou"] == [pytest.approx(0.6)]
    assert found["sky"] == [pytest.approx(0.6)]
    assert np.isnan(found["vegetation"][0])


@pytest.mark.parametrize("experiment", ["exponents", "table1", "cohorts"])
def test_every_command_has_the_flags_of_its_program(common, experiment):
    if experiment == "exponents":
        config = exponents.ExponentsConfig(output_dir="x", **common)
        setting = recipes.make_setting(config)
        jobs = exponents.make_jobs(config, setting).values()
    else:
        module, config_class = {
            "table1": (table1, table1.Table1Config),
            "cohorts": (cohorts, cohorts.CohortsConfig),
        }[experiment]
        config = config_class(output_dir="x", **common)
        setting = recipes.make_setting(config)
        study = module.make_study(config, setting)
        scored, judged = study_jobs(study, setting)
        jobs = [*scored.values(), *judged.values()]
    modules = set()
    for job in in_order(jobs):
        words = job.command(Path("cache"))[2:]
        cli.parse(CONFIGS[job.module], words)
        modules.add(job.module)
    assert modules == set(CONFIGS)


def test_exponents_reports_what_the_judge_saw(
    common, source_records, saved_model, tmp_path, capsys
):
    config = exponents.ExponentsConfig(
        output_dir=str(tmp_path / "out"), methods=METHODS, **common
    )
    jobs = exponents.make_jobs(config, recipes.make_setting(config))
    cache = Path(config.cache_dir)
    leave_what_programs_do(jobs.values(), cache, source_records, saved_model)
    exponents.exponents(config)
    rows = read_json(tmp_path / "out", "exponents.json")["rows"]
    kept = [
        np.array(confusion_of(jobs["weighted", seed]))[SKY, SKY] / 100
        for seed in (0, 1)
    ]
    assert rows["weighted"]["sky_kept"]["values"] == pytest.approx(kept)
    assert rows["weighted"]["sky_kept"]["mean"] == pytest.approx(np.mean(kept))
    assert len(rows["untranslated"]["sky_kept"]["values"]) == 1
    report = (tmp_path / "out" / "exponents.md").read_text()
    assert "python -m kliep_tf.experiments.exponents" in report
    assert "| minus plain |" in report
    assert (tmp_path / "out" / "exponents_consistency.png").exists()
    exponents.exponents(config)
    assert "already done" in capsys.readouterr().out


@pytest.mark.parametrize("val_scale", [1.0, 0.5])
def test_table1_scores_every_row(
    common, source_records, saved_model, tmp_path, val_scale
):
    published = tmp_path / "published.csv"
    published.write_text("name,sky,mIoU\ntheirs,12.5,34.5\n")
    config = table1.Table1Config(
        output_dir=str(tmp_path / "out"),
        methods=METHODS,
        translated=(f"copied={source_records}",),
        reference_rows=str(published),
        val_scale=val_scale,
        **common,
    )
    setting = recipes.make_setting(config)
    scored, judged = study_jobs(table1.make_study(config, setting), setting)
    cache = Path(config.cache_dir)
    jobs = [*scored.values(), *judged.values()]
    leave_what_programs_do(jobs, cache, source_records, saved_model)
    table1.table1(config)
    numbers = read_json(tmp_path / "out", "table1.json")
    scores = numbers["segmentation"]
    assert list(scores) == [
        "no adaptation",
        "plain",
        "weighted",
        "copied",
        "oracle",
    ]
    # The same images and seeds: the same segmenters, trained once.
    assert scores["copied"] == scores["no adaptation"]
    # 100 sky pixels, none predicted by mistake: IoU is the share kept.
    sky = np.array(confusion_of(scored["plain", 1]))[SKY, SKY] / 100
    assert scores["plain"]["sky"]["values"][1] == pytest.approx(sky)
    assert "oracle" not in numbers["consistency"]
    assert numbers["reference"]["theirs"]["sky"]["values"] == [0.125]
    report = (tmp_path / "out" / "table1.md").read_text()
    ours, below = report.split("## Published rows, for reference")
    assert "| theirs |" not in ours
    assert "| theirs |" in below
    for name in ("scores", "consistency", "translations", "predictions"):
        assert (tmp_path / "out" / f"table1_{name}.png").exists()
    entry = read_json(tmp_path / "out", "jobs.json")["score of oracle, seed 0"]
    assert entry["command"].startswith("python -m kliep_tf.evaluate ")


def test_the_judge_is_the_first_oracle(common):
    config = table1.Table1Config(output_dir="x", **common)
    setting = recipes.make_setting(config)
    scored, _ = study_jobs(table1.make_study(config, setting), setting)
    assert scored["oracle", 0].needs[0].digest == setting.judge.digest
    assert scored["oracle", 1].needs[0].digest != setting.judge.digest


def test_each_cohort_trains_on_its_third_and_translates_everything(common):
    config = cohorts.CohortsConfig(output_dir="x", **common)
    setting = recipes.make_setting(config)
    for method in recipes.cohort_methods():
        training = recipes.training(setting, method, 0)
        assert training.flags["source_cohort"] == method.name
        assert training.flags["source_weight_exponent"] == 0.0
        translation = recipes.translation(setting, method, 0)
        assert translation.flags["source_records"] is setting.source


def every_job(config: table1.Table1Config) -> dict[str, list[Job]]:
    """Returns the jobs of a table by the last part of their module."""
    setting = recipes.make_setting(config)
    scored, judged = study_jobs(table1.make_study(config, setting), setting)
    found: dict[str, list[Job]] = {}
    for job in in_order([*scored.values(), *judged.values()]):
        found.setdefault(job.module.rpartition(".")[2], []).append(job)
    return found


def test_validation_images_of_twice_the_size_are_seen_at_half(common):
    config = table1.Table1Config(output_dir="x", val_scale=0.5, **common)
    setting = recipes.make_setting(config)
    scored, judged = study_jobs(table1.make_study(config, setting), setting)
    assert all(job.flags["scales"] == 0.5 for job in scored.values())
    # The judge sees the source's images as they are.
    assert not any("scales" in job.flags for job in judged.values())
    words = scored["oracle", 0].command(Path("cache"))[2:]
    assert cli.parse(EvaluateConfig, words).scales == ("0.5",)


def test_pretrained_weights_are_for_the_rows_and_the_judge(common, tmp_path):
    weights = tmp_path / "resnet101.npz"
    weights.write_bytes(b"weights")
    config = table1.Table1Config(
        output_dir="x", backbone_weights=str(weights), **common
    )
    jobs = every_job(config)["train_segmenter"]
    (features,) = (job for job in jobs if "features" in job.title)
    assert "backbone_weights" not in features.flags
    others = [job for job in jobs if job is not features]
    assert len(others) == 5 * config.num_seeds
    for job in others:
        words = job.command(Path("cache"))[2:]
        parsed = cli.parse(TrainSegmenterConfig, words)
        assert parsed.backbone_weights == str(weights)


def test_features_are_seen_at_the_size_that_they_were_learned_at(common):
    config = table1.Table1Config(
        output_dir="x", features_height=16, features_width=32, **common
    )
    jobs = every_job(config)
    (weights,) = jobs["estimate_weights"]
    learned = weights.flags["segmenter"].job
    for job in (learned, weights):
        size = (job.flags["image_height"], job.flags["image_width"])
        assert size == (16, 32)
    others = [job for job in jobs["train_segmenter"] if job is not learned]
    assert not any("image_height" in job.flags for job in others)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"val_scale": 0.0}, "--val_scale=0.0: expected a number above 0"),
        ({"features_height": 16}, "expected both or neither"),
    ],
)
def test_sizes_out_of_range_are_refused(common, flags, message):
    config = table1.Table1Config(output_dir="x", **common, **flags)
    with pytest.raises(UserError, match=message):
        recipes.make_setting(config)


def test_shipped_flagfiles_are_the_default(common):
    setting = recipes.make_setting(
        table1.Table1Config(output_dir="x", **common)
    )
    assert setting.train_flagfile == str(ROOT / "configs" / "demo.flags")


def test_plain_cyclegan_is_shared_whatever_the_weights(common):
    configs = [
        table1.Table1Config(output_dir="x", **(common | {"min_ess": share}))
        for share in (0.1, 0.5)
    ]
    settings = [recipes.make_setting(config) for config in configs]
    plain, weighted = recipes.parse_methods(METHODS)
    digests = [
        [recipes.training(setting, method, 0).digest for setting in settings]
        for method in (plain, weighted)
    ]
    assert digests[0][0] == digests[0][1]
    assert digests[1][0] != digests[1][1]


@pytest.mark.parametrize("bad", ["plain", "plain:1", "plain:a:b", ":1:1"])
def test_methods_of_another_form_are_refused(bad):
    with pytest.raises(UserError, match="--methods: expected"):
        recipes.parse_methods((bad,))


@pytest.mark.parametrize("flag", ["source_records", "val_records"])
def test_missing_records_are_named_by_their_flag(common, flag, tmp_path):
    config = table1.Table1Config(
        output_dir=str(tmp_path / "out"), **(common | {flag: "none/all-*"})
    )
    with pytest.raises(UserError, match=rf"--{flag}=none/all-\*: expected"):
        table1.table1(config)


def test_missing_flagfile_is_named(common):
    config = table1.Table1Config(
        output_dir="x", **(common | {"train_flagfile": "none.flags"})
    )
    with pytest.raises(UserError, match=r"--train_flagfile=none\.flags"):
        recipes.make_setting(config)


def test_translated_records_need_a_name(common):
    config = dataclasses.replace(
        table1.Table1Config(output_dir="x", **common), translated=("records",)
    )
    setting = recipes.make_setting(config)
    with pytest.raises(UserError, match="expected NAME=RECORDS"):
        table1.make_study(config, setting)
