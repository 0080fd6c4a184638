import dataclasses
import shlex
import sys

import pytest

from kliep_tf import cli
from kliep_tf.errors import UserError


@dataclasses.dataclass(frozen=True)
class Config:
    records: str = cli.flag("where the records are")
    steps: int = cli.flag("training steps", default=10)
    rate: float = cli.flag("learning rate", default=0.5)
    flip: bool = cli.flag("mirror images", default=True)
    loss: str = cli.flag("which loss", default="a", choices=("a", "b"))
    names: tuple[str, ...] = cli.flag("some names", default=())
    limit: int | None = cli.flag("an optional number", default=None)


def parse(*arguments):
    return cli.parse(Config, ["program", *arguments])


def test_flags_become_fields_of_their_types():
    config = parse(
        "--records=x", "--steps=3", "--rate=1e-3", "--noflip", "--names=p,q"
    )
    assert config == Config("x", 3, 1e-3, False, "a", ("p", "q"), None)


def test_optional_number_is_parsed_as_number():
    assert parse("--records=x", "--limit=7").limit == 7


@pytest.mark.parametrize("before", [True, False])
def test_command_line_wins_over_flagfile_wherever_it_stands(tmp_path, before):
    file = tmp_path / "some.flags"
    file.write_text("# a comment\n--steps=5\n--records=from_file\n")
    words = ["--steps=7", f"--flagfile={file}"]
    config = parse(*(words if before else reversed(words)))
    assert (config.steps, config.records) == (7, "from_file")


def test_flagfile_given_as_two_words(tmp_path):
    file = tmp_path / "some.flags"
    file.write_text("--records=from_file\n")
    assert parse("--flagfile", str(file)).records == "from_file"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "--records"),
        (["--records=x", "--steps=many"], "steps"),
        (["--records=x", "--loss=c"], "loss"),
        (["--records=x", "--stepz=3"], "stepz"),
        (["--records=x", "stray"], "stray"),
        (["--records=x", "--flagfile=/no/such/file"], "/no/such/file"),
    ],
)
def test_bad_command_line_is_one_line_that_names_the_flag(arguments, named):
    with pytest.raises(UserError) as error:
        parse(*arguments)
    assert named in str(error.value)
    assert "\n" not in str(error.value)


def run_main(monkeypatch, main, *arguments):
    monkeypatch.setattr(sys, "argv", ["program", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.run(main, Config)
    return ended.value.code


def test_user_error_ends_with_one_line_and_status_1(monkeypatch, capsys):
    def main(config):
        raise UserError("records: expected some, found none")

    assert run_main(monkeypatch, main, "--records=x") == 1
    assert capsys.readouterr().err == (
        "error: records: expected some, found none\n"
    )


def test_full_disk_ends_with_one_line_and_status_1(monkeypatch, capsys):
    def main(config):
        raise OSError(28, "No space left on device", "/full/file")

    assert run_main(monkeypatch, main, "--records=x") == 1
    assert capsys.readouterr().err == (
        "error: /full/file: No space left on device\n"
    )


def test_help_names_every_flag_and_what_it_does(monkeypatch, capsys):
    assert run_main(monkeypatch, lambda config: None, "--help") == 0
    text = capsys.readouterr().out
    for field in dataclasses.fields(Config):
        assert field.name in text
        assert field.metadata["help"] in text


def test_a_shell_reads_the_command_of_a_config_as_that_config():
    config = Config(
        records="a folder/train-*", flip=False, names=("KLIEP (1,1)", "a")
    )
    text = cli.command_text("kliep_tf.train", config)
    words = shlex.split(text.replace("\\\n", " "))
    assert words[:3] == ["python", "-m", "kliep_tf.train"]
    assert cli.parse(Config, words[2:]) == config
    # Defaults are left out, globs are kept from the shell.
    assert "rate" not in text
    assert "--records='a folder/train-*'" in text
