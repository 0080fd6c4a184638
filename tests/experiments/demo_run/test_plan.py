from pathlib import Path

from kliep_tf import cli
from kliep_tf.experiments.demo_run.flags import DemoConfig
from kliep_tf.experiments.demo_run.plan import plan
from kliep_tf.train import TrainConfig
from tests.conftest import ROOT
from tests.experiments.real_programs import parse_command

FLAGFILE = str(ROOT / "configs" / "demo.flags")


def test_flags_of_the_demo_win_over_the_flagfile():
    config = DemoConfig(
        output_dir="out", steps=7, image_height=32, image_width=48
    )
    trainings = {
        method: parse_command(job, Path("out"))
        for method, job in plan(config, FLAGFILE).trainings.items()
    }
    recipe = cli.parse(
        TrainConfig,
        [
            "train",
            f"--flagfile={FLAGFILE}",
            "--source_records=a",
            "--target_records=b",
            "--run_dir=c",
        ],
    )
    for training in trainings.values():
        assert training.steps == 7
        assert (training.image_height, training.image_width) == (32, 48)
        assert training.learning_rate == recipe.learning_rate
    assert trainings["without"].source_weight_exponent == 0
    weighted = trainings["with"].source_weight_exponent
    assert weighted == recipe.source_weight_exponent > 0


def test_outputs_lie_where_the_readme_says():
    root = Path("demo")
    stages = plan(DemoConfig(output_dir="demo"), FLAGFILE).stages
    assert len(stages) == 15
    for name, place in (
        ("render", "city"),
        ("convert_source", "records/gta5"),
        ("convert_camera_val", "records/cityscapes"),
        ("weights", "weights"),
        ("train_with", "train/with"),
        ("translate_without", "translated/without"),
        ("evaluate_val", "judged/camera_val"),
    ):
        assert stages[name].output_dir(root) == root / place


def test_trainings_of_equal_flags_are_two_jobs():
    config = DemoConfig(
        output_dir="out", source_weight_exponent=0, target_weight_exponent=0
    )
    trainings = plan(config, FLAGFILE).trainings
    assert trainings["without"].digest != trainings["with"].digest
