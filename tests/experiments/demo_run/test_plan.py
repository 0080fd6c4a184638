from kliep_tf import cli
from kliep_tf.experiments.demo_run.plan import DemoConfig, plan
from kliep_tf.train import TrainConfig
from tests.conftest import ROOT


def test_flags_of_the_demo_win_over_the_flagfile():
    flagfile = ROOT / "configs" / "demo.flags"
    config = DemoConfig(
        output_dir="out", steps=7, image_height=32, image_width=48
    )
    trainings = [
        cli.parse(TrainConfig, ["train", *stage.arguments])
        for stage in plan(config, flagfile)
        if stage.module == "kliep_tf.train"
    ]
    assert len(trainings) == 2
    recipe = cli.parse(
        TrainConfig,
        [
            "train",
            f"--flagfile={flagfile}",
            "--source_records=a",
            "--target_records=b",
            "--run_dir=c",
        ],
    )
    for training in trainings:
        assert training.steps == 7
        assert (training.image_height, training.image_width) == (32, 48)
        assert training.learning_rate == recipe.learning_rate
    exponents = [training.source_weight_exponent for training in trainings]
    assert exponents == [0.0, recipe.source_weight_exponent]
