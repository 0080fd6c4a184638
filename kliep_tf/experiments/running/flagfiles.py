"""The flagfiles that experiments hand to the programs they run."""

from pathlib import Path

from kliep_tf.errors import UserError

TRAIN_FLAGFILE = "configs/demo.flags"
SEGMENTER_FLAGFILE = "configs/city_segmenter.flags"


def find_flagfile(given: str, default: str, flag: str, program: str) -> str:
    """Returns the path of the flagfile given, or of the checkout's.

    Args:
        given: what the user named, "" for nothing.
        default: a path in the checkout.
        flag: the flag that names another one.
        program: whose flags are expected.

    Raises:
        UserError: there is no such file.
    """
    checkout = Path(__file__).resolve().parents[3]
    path = Path(given) if given else checkout / default
    if path.is_file():
        return str(path)
    if given:
        raise UserError(
            f"--{flag}={path}: expected a flagfile of {program}, found no file"
        )
    raise UserError(
        f"{path}: expected the flagfile of a checkout, found none; run from "
        f"one, or name a flagfile of {program} by --{flag}"
    )
