import dataclasses
import errno
import os
import shlex
import signal
import sys
import time

import pytest

from kliep_tf import cli
from kliep_tf.errors import DataError, RefusedError, UserError


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


@dataclasses.dataclass(frozen=True)
class Numbers:
    steps: int = cli.flag("1 or more", default=1, minimum=1)
    share: float = cli.flag("a share", default=0.5, minimum=0, maximum=1)
    decay: float = cli.flag("a decay", default=0.5, minimum=0, below=1)
    rate: float = cli.flag("a rate", default=0.5, above=0)
    shift: float = cli.flag("any number", default=0.0)
    limit: int | None = cli.flag("an optional number", default=None, minimum=3)
    flip: bool = cli.flag("no number", default=False)


@pytest.mark.parametrize(
    "word",
    ["--steps=1", "--share=0", "--share=1", "--decay=0", "--limit=3"]
    + ["--rate=1e-9", "--shift=-1e9", "--flip"],
)
def test_numbers_within_their_range_are_taken(word):
    cli.parse(Numbers, ["program", word])


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("--steps=0", "1 or more"),
        ("--share=-0.1", "0 to 1"),
        ("--share=1.1", "0 to 1"),
        ("--decay=1.0", "0 or more, less than 1"),
        ("--rate=0.0", "more than 0"),
        ("--rate=nan", "more than 0"),
        ("--shift=inf", "a finite number"),
        ("--limit=2", "3 or more"),
    ],
)
def test_number_out_of_range_is_named_with_its_range(word, expected):
    with pytest.raises(UserError) as error:
        cli.parse(Numbers, ["program", word])
    assert str(error.value) == f"{word}: expected {expected}"


def test_home_is_found_behind_the_equals_sign(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    config = parse("--records=~/records/train-*", "--names=~,a~b")
    assert config.records == "/home/ada/records/train-*"
    assert config.names == ("/home/ada", "a~b")


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


@pytest.mark.parametrize(
    ("raised", "status", "line"),
    [
        (DataError("x: damaged"), 65, "x: damaged"),
        (RefusedError("x: in use"), 74, "x: in use"),
        (
            OSError(errno.ENOSPC, "No space left on device", "/full/file"),
            74,
            "/full/file: No space left on device",
        ),
        (OSError(errno.EIO, "Input/output error"), 74, "Input/output error"),
        (
            OSError(errno.ENOENT, "No such file or directory", "typo"),
            1,
            "typo: No such file or directory",
        ),
        (
            KeyboardInterrupt(),
            130,
            "interrupted; the same command again continues",
        ),
    ],
)
def test_what_is_no_bug_is_one_line_with_a_status_of_its_kind(
    monkeypatch, capsys, raised, status, line
):
    def main(config):
        raise raised

    assert run_main(monkeypatch, main, "--records=x") == status
    assert capsys.readouterr().err == f"error: {line}\n"


def test_a_bug_keeps_its_traceback(monkeypatch, capsys):
    def main(config):
        raise KeyError("forgotten")

    assert run_main(monkeypatch, main, "--records=x") == 70
    text = capsys.readouterr().err
    assert text.startswith("Traceback")
    assert text.endswith("KeyError: 'forgotten'\n")


@pytest.fixture
def signals_restored():
    """Puts back what the test process itself does on signals."""
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(kind) for kind in kinds]
    # What runs in the background has Ctrl-C ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    for kind, handler in zip(kinds, before, strict=True):
        signal.signal(kind, handler)


SIGNALS = [
    (signal.SIGINT, 130, "interrupted"),
    (signal.SIGTERM, 143, "terminated"),
]


@pytest.mark.parametrize(("kind", "status", "word"), SIGNALS)
@pytest.mark.usefixtures("signals_restored")
def test_signals_end_a_program_in_one_line(
    monkeypatch, capsys, kind, status, word
):
    cleaned = []

    def main(config):
        try:
            os.kill(os.getpid(), kind)
            time.sleep(60)
        finally:
            cleaned.append(True)

    assert run_main(monkeypatch, main, "--records=x") == status
    assert cleaned
    assert capsys.readouterr().err == (
        f"error: {word}; the same command again continues\n"
    )


@pytest.mark.parametrize("other", [RuntimeError, DataError])
@pytest.mark.parametrize(("kind", "status", "word"), SIGNALS)
@pytest.mark.usefixtures("signals_restored")
def test_a_signal_counts_that_another_exception_hides(
    monkeypatch, capsys, kind, status, word, other
):
    """As C++ does that calls Python back: it makes an exception of its own."""

    def main(config):
        try:
            os.kill(os.getpid(), kind)
            time.sleep(60)
        except KeyboardInterrupt as error:
            raise other(f"{type(error).__name__}: At: <frozen runpy>") from None

    assert run_main(monkeypatch, main, "--records=x") == status
    assert capsys.readouterr().err == (
        f"error: {word}; the same command again continues\n"
    )


@pytest.mark.usefixtures("signals_restored")
def test_what_was_refused_after_a_signal_is_told(monkeypatch, capsys):
    def main(config):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)
        finally:
            raise OSError(errno.ENOSPC, "No space left on device", "/full")

    assert run_main(monkeypatch, main, "--records=x") == 74
    assert capsys.readouterr().err == "error: /full: No space left on device\n"


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


@dataclasses.dataclass(frozen=True, kw_only=True)
class LateConfig:
    rate: float = cli.flag("learning rate", default=0.5)
    records: str = cli.flag("where the records are")


def test_help_shows_required_flags_first():
    text = cli.help_text(test_help_shows_required_flags_first, LateConfig)
    assert text.index("--records") < text.index("--rate")


@dataclasses.dataclass(frozen=True)
class Left:
    width: int = cli.flag("of the left", default=1)
    rate: float = cli.flag("of the left", default=0.25)


@dataclasses.dataclass(frozen=True)
class Right:
    height: int = cli.flag("of the right", default=2)


def side(name):
    if name not in ("left", "right"):
        raise UserError(f"--side={name}: expected left or right")
    return Left if name == "left" else Right


@dataclasses.dataclass(frozen=True)
class SidedConfig:
    records: str = cli.flag("where the records are")
    rate: float = cli.flag("learning rate", default=0.5)
    side: str = cli.flag("which side", default="left", adds=side)


def parse_sided(*arguments):
    return cli.parse(SidedConfig, ["program", "--records=x", *arguments])


def test_value_of_a_flag_adds_flags(tmp_path):
    file = tmp_path / "some.flags"
    file.write_text("--side=right\n--height=7\n")
    for words in (
        ["--side=right", "--height=7"],
        ["--height", "7", "--side", "right"],
        [f"--flagfile={file}"],
        ["--side=right", "--height=7", f"--flagfile={file}", "--rate=0.5"],
    ):
        config = parse_sided(*words)
        assert isinstance(config, SidedConfig)
        assert vars(config) == {
            "records": "x",
            "rate": 0.5,
            "side": "right",
            "height": 7,
        }
        assert cli.part_of(config, Right) == Right(7)


def test_added_default_wins_and_equal_flags_are_equal():
    config = parse_sided("--width=3")
    assert (config.width, config.rate) == (3, 0.25)
    assert parse_sided("--width=3", "--side=left") == config
    assert cli.parse(type(config), ["", "--records=x", "--width=3"]) == config


@pytest.mark.parametrize(
    ("arguments", "named"),
    [(["--side=up"], "--side=up"), (["--side=right", "--width=3"], "width")],
)
def test_flag_that_nothing_adds_is_one_line(arguments, named):
    with pytest.raises(UserError, match=named) as error:
        parse_sided(*arguments)
    assert "\n" not in str(error.value)


def test_help_shows_the_added_flags(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["program", "--side=right", "--help"])
    with pytest.raises(SystemExit) as ended:
        cli.run(lambda config: None, SidedConfig)
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert "--height=INTEGER" in text and "--width" not in text


@dataclasses.dataclass(frozen=True)
class Sizes:
    image_height: int = 0
    image_width: int = 0
    crop_height: int | None = None
    crop_width: int | None = None


def test_size_is_a_pair_of_flags_or_nothing():
    sizes = Sizes(image_height=32, image_width=48)
    assert cli.size_flags(sizes, "image") == (32, 48)
    assert cli.size_flags(sizes, "crop") is None
    assert cli.size_flags(Sizes(), "image") is None


@pytest.mark.parametrize("height, width", [(32, 0), (0, 32), (-1, 5), (-1, -1)])
def test_half_a_size_is_refused(height, width):
    with pytest.raises(UserError, match="expected both above 0, or neither"):
        cli.size_flags(Sizes(height, width), "image")


def test_size_with_an_absent_flag_is_refused():
    message = "--crop_height=None --crop_width=9: expected both above 0"
    with pytest.raises(UserError, match=message):
        cli.size_flags(Sizes(crop_width=9), "crop")


def test_line_breaks_of_what_was_found_are_shown_in_one_line():
    error = DataError("a: found b\nc\u2028d\r")
    assert str(error) == r"a: found b\nc\u2028d\r"
