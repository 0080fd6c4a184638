"""A program for tests of jobs: writes a number, or fails when told to."""

import dataclasses
import os
import time
from pathlib import Path

from kliep_tf import cli, runs
from kliep_tf.errors import UserError


@dataclasses.dataclass(frozen=True)
class TinyConfig:
    """The flags."""

    output_dir: str = cli.flag("where the number goes")
    number: int = cli.flag("to write", default=0)
    add: str = cli.flag("a folder with another number", default="")
    fail: bool = cli.flag("end with an error", default=False)
    seconds: float = cli.flag("to wait", default=0.0)
    saving: float = cli.flag("seconds that it takes to save", default=0.0)
    incomplete: bool = cli.flag("end early, as if all was well", default=False)


def write_number(config: TinyConfig) -> None:
    """Writes the number, the other one added, and the cores it may use."""
    with runs.claim(config.output_dir, "tiny", config) as claim:
        try:
            (claim.directory / "begun").touch()
            time.sleep(config.seconds)
        except KeyboardInterrupt:
            time.sleep(config.saving)
            (claim.directory / "saved").touch()
            raise
        if config.incomplete:
            return
        if config.fail:
            raise UserError("told to fail")
        total = config.number
        if config.add:
            total += int(Path(config.add, "number").read_text())
        (claim.directory / "number").write_text(str(total))
        cores = sorted(os.sched_getaffinity(0))
        (claim.directory / "cores").write_text(str(cores))
        device = os.environ.get("CUDA_VISIBLE_DEVICES", "all")
        (claim.directory / "device").write_text(device)
        claim.finish()


if __name__ == "__main__":
    cli.run(write_number, TinyConfig)
