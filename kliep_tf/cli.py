"""A frozen dataclass becomes a program's flags.

A program is one frozen dataclass, one function of it, and a last line:

    if __name__ == "__main__":
        cli.run(train, TrainConfig)

Every field becomes one absl flag. Importing a program defines nothing, so
tests and other programs call `train(TrainConfig(...))` directly.
"""

import csv
import dataclasses
import functools
import inspect
import io
import math
import os
import shlex
import sys
import textwrap
import types
import typing
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from absl import flags

from kliep_tf.errors import UserError
from kliep_tf.startup import hush_tensorflow

# Programs import this module first.
hush_tensorflow()

_Part = TypeVar("_Part")

_HELP_WIDTH = 80
# Keras's generators take 32 bits, and each network of a model has its own.
_MAX_SEED = 2**30 - 1


@dataclasses.dataclass(frozen=True)
class Range:
    """The numbers that a flag takes; None sets no bound."""

    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None

    def __contains__(self, value: float) -> bool:
        """Whether `value` is finite and within all bounds."""
        return (
            math.isfinite(value)
            and (self.minimum is None or value >= self.minimum)
            and (self.maximum is None or value <= self.maximum)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )

    def __str__(self) -> str:
        """Returns "1 or more", "0 to 1", "more than 0 and less than 1"."""
        if self.minimum is not None and self.maximum is not None:
            return f"{self.minimum} to {self.maximum}"
        bounds = {
            "{} or more": self.minimum,
            "more than {}": self.above,
            "{} or less": self.maximum,
            "less than {}": self.below,
        }
        words = [
            text.format(bound)
            for text, bound in bounds.items()
            if bound is not None
        ]
        return " and ".join(words) or "a finite number"


def flag(
    help: str,
    *,
    default: Any = dataclasses.MISSING,
    choices: Sequence[str] | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
    above: float | None = None,
    below: float | None = None,
    affects_output: bool = True,
    adds: Callable[[str], type] | None = None,
) -> Any:
    """Returns a dataclass field that `run` turns into a flag.

    Args:
        help: one or two sentences for `--help`.
        default: value where the flag is absent; without it the flag must be
            given.
        choices: the allowed strings.
        minimum: the least number allowed, `maximum` the largest.
        above: every number allowed is larger, and smaller than `below`.
        affects_output: False for flags such as a number of workers, which may
            change between an interrupted command and its continuation.
        adds: takes the flag's value and returns a frozen dataclass whose
            fields are flags too, such as those of `--method=cyclegan`. Raises
            a UserError for a value that it does not know.
    """
    return dataclasses.field(
        default=default,
        metadata={
            "help": help,
            "choices": tuple(choices) if choices else None,
            "range": Range(minimum, maximum, above, below),
            "affects_output": affects_output,
            "adds": adds,
        },
    )


@functools.cache
def combine(config_class: type, *added: type) -> type:
    """Returns one frozen dataclass of all fields, those of the first first.

    A default in an added class wins over the same field's in the first. The
    same classes give the same class, so that configs compare equal.
    """
    more = [part for part in added if not issubclass(config_class, part)]
    if not more:
        return config_class
    name = "".join(part.__name__ for part in (config_class, *more))
    bases = (*reversed(more), config_class)
    return dataclasses.make_dataclass(name, [], bases=bases, frozen=True)


def part_of(config: Any, part: type[_Part]) -> _Part:
    """Returns the values that `config` has for the fields of one dataclass."""
    names = [field.name for field in dataclasses.fields(part)]  # type: ignore
    return part(**{name: getattr(config, name) for name in names})


def parse(config_class: type, argv: Sequence[str]) -> Any:
    """Returns the `config_class` that the command line `argv` describes.

    Where the value of a flag adds others, it is of the combined class.

    Flags given on the command line win over those of a `--flagfile`, wherever
    they stand (absl alone lets the later of the two win, silently).

    Args:
        config_class: a frozen dataclass of fields made by `flag`.
        argv: the program's name and its arguments.

    Raises:
        UserError: a flag is unknown, missing, or has an unusable value.
    """
    config_class = _with_added_flags(config_class, argv)
    flag_values = _define_flags(dataclasses.fields(config_class))
    rest = _parse_flags(flag_values, argv)
    if len(rest) > 1:
        raise UserError(
            f"unexpected argument {rest[1]!r}: expected only --flag=value"
        )
    values = {}
    for field in dataclasses.fields(config_class):
        value = flag_values[field.name].value
        if value is None and field.default is dataclasses.MISSING:
            raise UserError(
                f"--{field.name} is missing: expected {field.metadata['help']}"
            )
        values[field.name] = _converted(value)
    config = config_class(**values)
    check(config)
    return config


def command_text(program: str, config: Any) -> str:
    """Returns the command that asks for `config`, as a shell reads it.

    One flag a line; flags at their default are left out. `parse` makes the
    same config of it.

    Args:
        program: the module that `python -m` runs.
        config: the program's frozen dataclass.
    """
    words = [f"python -m {program}"]
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if value != field.default:
            words.append(_as_word(field.name, value))
    return " \\\n    ".join(words)


def check(config: Any) -> None:
    """Raises a UserError for the first number outside of its flag's range."""
    for field in dataclasses.fields(config):
        value, allowed = getattr(config, field.name), field.metadata["range"]
        if isinstance(value, int | float) and value not in allowed:
            raise UserError(f"--{field.name}={value}: expected {allowed}")


def require_positive(config: Any, *names: str) -> None:
    """Raises a UserError unless each of these flags is 1 or more."""
    for name in names:
        value = getattr(config, name)
        if value < 1:
            raise UserError(f"--{name}={value}: expected 1 or more")


def require_seed(config: Any) -> None:
    """Raises a UserError unless --seed is one that all generators take."""
    if not 0 <= config.seed <= _MAX_SEED:
        raise UserError(f"--seed={config.seed}: expected 0 to {_MAX_SEED}")


def size_flags(config: Any, kind: str) -> tuple[int, int] | None:
    """Returns (height, width) of --KIND_height and --KIND_width.

    Returns:
        None where neither is given: both are 0 or None.

    Raises:
        UserError: only one of them is given, or one is negative.
    """
    height = getattr(config, f"{kind}_height")
    width = getattr(config, f"{kind}_width")
    if not height and not width:
        return None
    if not (height or 0) > 0 or not (width or 0) > 0:
        raise UserError(
            f"--{kind}_height={height} --{kind}_width={width}: expected both "
            "above 0, or neither"
        )
    return height, width


def run(main: Callable[[Any], object], config_class: type) -> None:
    """Parses the command line, calls `main(config)` and exits the process.

    Exit status: 0 on success, 1 on a user's mistake (one line on stderr, no
    traceback), 130 on Ctrl-C. Any other exception is a bug and keeps its
    traceback.
    """
    argv = sys.argv
    if any(word in ("--help", "-help", "-h", "--helpfull") for word in argv):
        sys.exit(_print_help(main, config_class, argv))
    try:
        main(parse(config_class, argv))
    except UserError as error:
        sys.exit(_fail(str(error)))
    except KeyboardInterrupt:
        _fail("interrupted; the same command again continues")
        sys.exit(130)
    except OSError as error:
        # A full disk or a missing permission is no bug of ours, and its
        # message already names the file.
        sys.exit(_fail(_describe_os_error(error)))


def help_text(main: Callable[[Any], object], config_class: type) -> str:
    """Returns what `--help` prints."""
    module = sys.modules[main.__module__]
    spec = getattr(module, "__spec__", None)
    name = spec.name if spec else main.__module__
    lines = [
        inspect.getdoc(module) or "",
        "",
        f"usage: python -m {name} [--flagfile=FILE] --flag=value ...",
        "",
    ]
    for field in dataclasses.fields(config_class):
        lines.append(f"  --{_usage(field)}")
        lines.extend(
            textwrap.wrap(
                field.metadata["help"],
                _HELP_WIDTH,
                initial_indent=" " * 6,
                subsequent_indent=" " * 6,
            )
        )
    return "\n".join(lines)


def _print_help(main: Callable, config_class: type, argv: Sequence[str]) -> int:
    try:
        config_class = _with_added_flags(config_class, argv)
    except UserError as error:
        return _fail(str(error))
    print(help_text(main, config_class))
    return 0


def _with_added_flags(config_class: type, argv: Sequence[str]) -> type:
    """Returns the class with the flags that the values of others add."""
    adding = [
        field
        for field in dataclasses.fields(config_class)
        if field.metadata["adds"]
    ]
    if not adding:
        return config_class
    flag_values = _define_flags(adding)
    # All other flags are unknown yet: what follows them may be their value.
    flag_values.set_gnu_getopt(True)
    _parse_flags(flag_values, argv, known_only=True)
    added = [
        field.metadata["adds"](flag_values[field.name].value)
        for field in adding
    ]
    return combine(config_class, *added)


def _parse_flags(
    flag_values: flags.FlagValues, argv: Sequence[str], **options: bool
) -> list[str]:
    try:
        return flag_values(_flagfiles_first(argv), **options)
    except flags.Error as error:
        raise UserError(str(error).replace("\n", " ")) from error


def _converted(value: Any) -> Any:
    """Returns a list as a tuple, and a home's ~ as its path.

    Shells expand ~ where it begins a word, and not behind the = of a flag.
    """
    if isinstance(value, list):
        return tuple(map(_converted, value))
    return os.path.expanduser(value) if isinstance(value, str) else value


def _define_flags(fields: Sequence[dataclasses.Field]) -> flags.FlagValues:
    flag_values = flags.FlagValues()
    for field in fields:
        default = field.default
        if default is dataclasses.MISSING:
            default = None
        kind = _value_type(field)
        name, text = field.name, field.metadata["help"]
        common = {"flag_values": flag_values}
        if field.metadata["choices"]:
            choices = field.metadata["choices"]
            flags.DEFINE_enum(name, default, choices, text, **common)
        elif kind is bool:
            flags.DEFINE_boolean(name, default, text, **common)
        elif kind is int:
            flags.DEFINE_integer(name, default, text, **common)
        elif kind is float:
            flags.DEFINE_float(name, default, text, **common)
        elif kind is tuple:
            default = default if default is None else list(default)
            flags.DEFINE_list(name, default, text, **common)
        else:
            flags.DEFINE_string(name, default, text, **common)
    return flag_values


def _value_type(field: dataclasses.Field) -> type:
    """The type of a field's value: `int | None` is an int, a tuple a list."""
    annotation = field.type
    if isinstance(annotation, types.UnionType):
        (annotation,) = set(typing.get_args(annotation)) - {type(None)}
    return typing.get_origin(annotation) or annotation


def _usage(field: dataclasses.Field) -> str:
    kind = _value_type(field)
    if kind is bool:
        return f"[no]{field.name}  (default: {str(field.default).lower()})"
    if field.metadata["choices"]:
        value = "|".join(field.metadata["choices"])
    else:
        value = {int: "INTEGER", float: "NUMBER", tuple: "A,B,..."}.get(
            kind, "TEXT"
        )
    if field.default is dataclasses.MISSING:
        return f"{field.name}={value}  (required)"
    default = field.default
    if kind is tuple:
        default = ",".join(default or ())
    shown = "" if default in (None, "") else f"  (default: {default})"
    return f"{field.name}={value}{shown}"


def _flagfiles_first(argv: Sequence[str]) -> list[str]:
    """Moves every --flagfile before all other arguments."""
    files, others = [], []
    words = iter(argv[1:])
    for word in words:
        if word in ("--flagfile", "-flagfile"):
            files.extend([word, next(words, "")])
        elif word.startswith(("--flagfile=", "-flagfile=")):
            files.append(word)
        else:
            others.append(word)
    return [argv[0], *files, *others]


def _as_word(name: str, value: Any) -> str:
    """Returns a flag as a shell reads it: blanks and globs are quoted."""
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no{name}"
    if isinstance(value, tuple):
        # As absl reads a list: an item with a comma stands in quotes.
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow(value)
        value = line.getvalue()
    return f"--{name}={shlex.quote(str(value))}"


def _describe_os_error(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}"


def _fail(message: str) -> int:
    print(f"error: {message}", file=sys.stderr, flush=True)
    return 1
