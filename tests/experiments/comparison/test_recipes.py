"""Which jobs a table's flags ask for, and what identifies them."""

from pathlib import Path

import pytest

from kliep_tf import cli
from kliep_tf.errors import UserError
from kliep_tf.experiments import table1
from kliep_tf.experiments.comparison import recipes, rows
from kliep_tf.experiments.comparison.setting import make_setting
from kliep_tf.experiments.comparison.weightings import parse_weighting
from kliep_tf.experiments.running.jobs import Job
from tests.conftest import ROOT, write_records
from tests.experiments.real_programs import jobs_of, parse_command


def every_job(config: table1.Table1Config) -> dict[str, list[Job]]:
    """Returns the jobs of a table by the last part of their module."""
    setting = make_setting(config)
    study = table1.make_study(config, setting)
    found: dict[str, list[Job]] = {}
    for job in jobs_of(study, setting, config.seeds):
        found.setdefault(job.module.rpartition(".")[2], []).append(job)
    return found


def cyclegan(weighting: str, cohort: str = "all") -> recipes.Training:
    return recipes.cyclegan(parse_weighting(weighting), cohort)


def test_validation_images_of_twice_the_size_are_seen_at_half(common):
    config = table1.Table1Config(output_dir="x", val_scale=0.5, **common)
    setting = make_setting(config)
    study = table1.make_study(config, setting)
    scored = rows.segmentations(setting, study.rows, config.seeds)
    judged = rows.judgements(setting, study.rows, config.seeds)
    assert all(job.flags["scales"] == 0.5 for job in scored.values())
    # The judge sees the source's images as they are.
    assert not any("scales" in job.flags for job in judged.values())
    parsed = parse_command(scored["oracle", 0], Path("cache"))
    assert parsed.scales == ("0.5",)


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
        parsed = parse_command(job, Path("cache"))
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
        ({"features_height": 16}, "expected both above 0, or neither"),
        ({"image_height": 16}, "--image_width=0: expected both above 0"),
        ({"min_ess": 1.5}, "--min_ess=1.5: expected a share"),
    ],
)
def test_sizes_out_of_range_are_refused(common, flags, message):
    config = table1.Table1Config(output_dir="x", **common, **flags)
    with pytest.raises(UserError, match=message):
        make_setting(config)


def test_shipped_flagfiles_are_the_default(common):
    setting = make_setting(table1.Table1Config(output_dir="x", **common))
    assert setting.train_flagfile == str(
        ROOT / "configs" / "cyclegan_city.flags"
    )


def test_plain_cyclegan_is_shared_whatever_the_weights(common):
    configs = [
        table1.Table1Config(output_dir="x", **(common | {"min_ess": share}))
        for share in (0.1, 0.5)
    ]
    settings = [make_setting(config) for config in configs]
    digests = [
        [
            recipes.training(setting, translator, "any", 0).digest
            for setting in settings
        ]
        for translator in (cyclegan("0:0"), cyclegan("1:0.5"))
    ]
    assert digests[0][0] == digests[0][1]
    assert digests[1][0] != digests[1][1]


@pytest.mark.parametrize(
    "bad",
    [
        "plain",
        "plain:1",
        "plain:a:b",
        ":1:1",
        "plain:nan:1",
        "plain:1:1:kliep:kliep",
        "plain:overlap:",
        "plain:1:1:psychic",
    ],
)
def test_methods_of_another_form_are_refused(bad):
    with pytest.raises(UserError, match="--methods: expected"):
        rows.parse_methods((bad,))


@pytest.mark.parametrize("flag", ["source", "target", "val"])
def test_records_without_labels_are_refused_before_any_job(
    common, flag, tmp_path
):
    records = write_records(
        tmp_path, number=2, sky=0.5, bright=True, labelled=False
    )
    config = table1.Table1Config(
        output_dir="x", **(common | {f"{flag}_records": str(records)})
    )
    with pytest.raises(UserError, match=f"--{flag}_records: expected labelled"):
        make_setting(config)


def test_features_that_no_flag_here_can_provide_are_refused():
    words = ["table1", "--features=embedding"]
    with pytest.raises(UserError, match="value should be one of"):
        cli.parse(table1.Table1Config, words)


def test_missing_flagfile_is_named(common):
    config = table1.Table1Config(
        output_dir="x", **(common | {"train_flagfile": "none.flags"})
    )
    with pytest.raises(UserError, match=r"--train_flagfile=none\.flags"):
        make_setting(config)


def test_a_cohort_reads_the_weights_that_split_the_source(common):
    setting = make_setting(table1.Table1Config(output_dir="x", **common))
    third = cyclegan("0:0", "low")
    job = recipes.training(setting, third, "low", 0)
    assert job.flags["source_cohort"] == "low"
    assert job.flags["source_weight_exponent"] == 0.0
    assert job.flags["weights_dir"].job is setting.weights
    made = recipes.translation(setting, third, "low", 0)
    assert made.flags["source_records"] is setting.source


def test_watched_classes_that_the_records_lack_are_refused(common):
    config = table1.Table1Config(
        output_dir="x", watched_prediction="trees", **common
    )
    with pytest.raises(
        UserError, match=r"expected a class of cityscapes .*trees"
    ):
        make_setting(config)


@pytest.mark.parametrize(
    ("weighting", "expected", "estimator"),
    [
        ("0:0", ("exponents", 0.0, 0.0), ""),
        ("1:.5", ("exponents", 1.0, 0.5), "kliep"),
        ("1:1:ulsif", ("exponents", 1.0, 1.0), "ulsif"),
        ("overlap", ("overlap", 1.0, 1.0), "relative_kliep"),
        ("overlap:kliep", ("overlap", 1.0, 1.0), "kliep"),
    ],
)
def test_a_row_names_how_it_weighs(common, weighting, expected, estimator):
    setting = make_setting(table1.Table1Config(output_dir="x", **common))
    (row,) = rows.parse_methods((f"row:{weighting}",))
    job = recipes.training(setting, row.translator, row.name, 0)
    config = parse_command(job, Path("cache"))
    found = (
        config.weighting,
        config.source_weight_exponent,
        config.target_weight_exponent,
    )
    assert found == expected
    made = [one for one in job.needs if "estimate_weights" in one.module]
    assert bool(made) == bool(estimator)
    for one in made:
        assert parse_command(one, Path("cache")).estimator == estimator


def test_weights_by_kliep_are_the_job_that_they_were(common):
    setting = make_setting(table1.Table1Config(output_dir="x", **common))
    # What a cache holds from before estimators had names.
    flags = recipes.weights_by(setting, "kliep").flags
    assert set(flags) == {
        "source_records",
        "target_records",
        "features",
        "min_ess",
        "segmenter",
    }
    relative = recipes.weights_by(setting, "relative_kliep")
    assert set(relative.flags) == set(flags) - {"min_ess"} | {"estimator"}
    assert relative.needs == setting.weights.needs


def test_auto_features_take_no_segmenter(common):
    config = table1.Table1Config(
        output_dir="x", **(common | {"features": "auto"})
    )
    (weights,) = every_job(config)["estimate_weights"]
    assert weights.needs == []
    assert parse_command(weights, Path("cache")).features == "auto"


@pytest.mark.parametrize("row", ["0:0", "1:1", "overlap"])
def test_a_row_is_not_weighed_as_the_flagfile_says(common, tmp_path, row):
    flagfile = tmp_path / "train.flags"
    flagfile.write_text("--weighting=overlap\n")
    config = table1.Table1Config(
        output_dir="x", train_flagfile=str(flagfile), **common
    )
    job = recipes.training(make_setting(config), cyclegan(row), "row", 0)
    expected = "overlap" if row == "overlap" else "exponents"
    assert parse_command(job, Path("cache")).weighting == expected
