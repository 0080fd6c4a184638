"""Trainings of the tiny method, whose steps are milliseconds.

What holds of any training, whatever the method, is tested with it.

    python -m tests.programs.tiny_training --method=tiny ...

is `kliep_tf.train` that knows the tiny method, too.
"""

from kliep_tf import cli
from kliep_tf import train as program
from kliep_tf.train_flags import TrainConfig
from kliep_tf.translation import methods
from tests.translation import tiny_method

BRIGHTNESS = 0.25
ADDITIONS = (
    (methods.METHODS, "tiny", tiny_method.__name__),
    (
        program.PROVIDERS,
        "brightness",
        program.Provider(make=lambda config, source: BRIGHTNESS),
    ),
)


def parse(*words: str) -> TrainConfig:
    """Returns the config of flags of `train`."""
    return cli.parse(TrainConfig, ["train", "--method=tiny", *words])


def make_config(source_records, target_records, run_dir) -> TrainConfig:
    """Returns a training of four steps, without weights."""
    return parse(
        f"--source_records={source_records}",
        f"--target_records={target_records}",
        f"--run_dir={run_dir}",
        "--source_weight_exponent=0",
        "--target_weight_exponent=0",
        "--first_rate=0.25",
        # 31 is prime: no network of CycleGAN takes it.
        "--crop_height=31",
        "--crop_width=31",
        "--steps=4",
        "--checkpoint_every=2",
        "--log_every=1",
        "--image_every=4",
    )


if __name__ == "__main__":
    for known, name, value in ADDITIONS:
        known[name] = value
    cli.run(program.train, TrainConfig)
