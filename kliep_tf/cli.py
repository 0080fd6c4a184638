"""A frozen dataclass becomes a program's flags.

A program is one frozen dataclass, one function of it, and a last line:

    if __name__ == "__main__":
        cli.run(train, TrainConfig)

Every field becomes one absl flag. Importing a program defines nothing, so
tests and other programs call `train(TrainConfig(...))` directly.
"""

import csv
import dataclasses
import inspect
import io
import os
import shlex
import sys
import textwrap
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from absl import flags

from kliep_tf import flagfiles
from kliep_tf.endings import end, hear_signals
from kliep_tf.errors import UserError
from kliep_tf.flag_fields import (
    MAX_ADAM_RATE,
    MAX_SEED,
    check,
    combine,
    flag,
    part_of,
    refuse_url,
    require_positive,
    require_seed,
    size_flags,
    value_type,
)
from kliep_tf.startup import (
    hush_tensorflow,
    settle_keras,
    tell_early_interrupts,
)
from kliep_tf.stores.addresses import address_of
from kliep_tf.stores.configs import local

__all__ = [
    "MAX_ADAM_RATE",
    "MAX_SEED",
    "check",
    "combine",
    "command_text",
    "flag",
    "help_text",
    "parse",
    "part_of",
    "require_positive",
    "require_seed",
    "run",
    "size_flags",
]

# Programs import this module first.
hush_tensorflow()
settle_keras()
tell_early_interrupts()

_HELP_WIDTH = 80


def run(main: Callable[[Any], object], config_class: type) -> NoReturn:
    """Parses the command line, calls `main(config)` and exits the process.

    What is no bug ends in one line on stderr, without a traceback; each kind
    has its exit status (`kliep_tf.endings`).
    """
    argv = sys.argv
    signals = hear_signals()
    try:
        if {"--help", "-help", "-h", "--helpfull"} & set(argv):
            _print_help(main, config_class, argv)
        else:
            with local(parse(config_class, argv)) as config:
                main(config)
    except (Exception, KeyboardInterrupt) as error:
        end(error, signals)
    sys.exit(0)


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
    argv = flagfiles.expand(argv)
    config_class = _with_added_flags(config_class, argv)
    flag_values = _define_flags(dataclasses.fields(config_class))
    rest = _parse_flags(flag_values, argv)
    if len(rest) > 1:
        raise UserError(
            f"unexpected argument {rest[1]!r}: expected only --flag=value"
        )
    values = {}
    for field in dataclasses.fields(config_class):
        value = _converted(flag_values[field.name].value)
        refuse_url(field, value, mirrored=True)
        if value is None and field.default is dataclasses.MISSING:
            raise UserError(
                f"--{field.name} is missing: expected {field.metadata['help']}"
            )
        values[field.name] = value
    config = config_class(**values)
    check(config, mirrored=True)
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
            words.append(_as_word(field.name, address_of(value)))
    return " \\\n    ".join(words)


def help_text(main: Callable[[Any], object], config_class: type) -> str:
    """Returns what `--help` prints: required flags first."""
    module = sys.modules[main.__module__]
    spec = getattr(module, "__spec__", None)
    name = spec.name if spec else main.__module__
    lines = [
        inspect.getdoc(module) or "",
        "",
        f"usage: python -m {name} [--flagfile=FILE] --flag=value ...",
        "",
    ]
    fields = sorted(
        dataclasses.fields(config_class),
        key=lambda field: field.default is not dataclasses.MISSING,
    )
    for field in fields:
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


def _print_help(
    main: Callable[[Any], object], config_class: type, argv: Sequence[str]
) -> None:
    config_class = _with_added_flags(config_class, flagfiles.expand(argv))
    try:
        print(help_text(main, config_class), flush=True)
    except BrokenPipeError:  # `--help | head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
        return flag_values(argv, **options)
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
        kind = value_type(field)
        name, text = field.name, field.metadata["help"]
        common: dict[str, Any] = {"flag_values": flag_values}
        if field.metadata["choices"]:
            choices = field.metadata["choices"]
            flags.DEFINE_enum(name, default, list(choices), text, **common)
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


def _usage(field: dataclasses.Field) -> str:
    kind = value_type(field)
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
