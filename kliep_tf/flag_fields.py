"""What a program declares: a frozen dataclass whose fields are flags.

No command line is read here (`kliep_tf.cli` does, and hands on all that is
public); a config made by another program or a test is checked by `check`.
"""

import dataclasses
import functools
import math
import re
import types
import typing
from collections.abc import Callable, Collection
from typing import Any, TypeVar

from kliep_tf.errors import UserError
from kliep_tf.stores.addresses import FSSPEC_SCHEMES, TENSORFLOW_SCHEMES

# Keras's generators take 32 bits, and each network of a model has its own.
MAX_SEED = 2**30 - 1
# A step of Adam moves every variable by about its rate. First weights are below
# 1 in all networks here: at a larger rate one step is all that they hold.
MAX_ADAM_RATE = 1
_URL = re.compile(r"\s*([A-Za-z][A-Za-z0-9+.-]*)://")
_MOUNTED_BY = {
    "gs": "mount the bucket as a folder by Cloud Storage FUSE (gcsfuse)",
    "s3": "mount the bucket as a folder by Mountpoint for Amazon S3",
    "file": "leave file:// out",
}

_Part = TypeVar("_Part")


def flag(
    help: str,
    *,
    default: Any = dataclasses.MISSING,
    choices: Collection[str] | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
    above: float | None = None,
    below: float | None = None,
    affects_output: bool = True,
    read_as: str = "",
    from_store: bool = False,
    mirrored: str | Callable[[Any], str] = "",
    adds: Callable[[str], type] | None = None,
) -> Any:
    """Returns a dataclass field that `run` turns into a flag.

    Args:
        help: one or two sentences for `--help`.
        default: value where the flag is absent; without it the flag must be
            given.
        choices: the allowed strings; a registry may grow until flags are
            parsed.
        minimum: the least number allowed, `maximum` the largest.
        above: every number allowed is larger, and smaller than `below`.
        affects_output: False for flags such as a number of workers, which may
            change between an interrupted command and its continuation.
        read_as: for the path of an input, the name that its fingerprint has in
            `runs.claim`. Where the fingerprint is the same, the path may be
            another: relative or absolute, through a link, moved.
        from_store: whether it may lie in an object store that TensorFlow reads
            (gs://), as records may.
        mirrored: "input", "output" or "either" where it may lie in an object
            store (gs://, s3://) because a program works on a folder here in its
            place, which `kliep_tf.stores` brings from there and takes back. Or
            a function that tells which of a config.
        adds: takes the flag's value and returns a frozen dataclass whose
            fields are flags too, such as those of `--method=cyclegan`. Raises
            a UserError for a value that it does not know.
    """
    return dataclasses.field(
        default=default,
        metadata={
            "help": help,
            "choices": choices or None,
            "range": Range(minimum, maximum, above, below),
            "affects_output": affects_output,
            "read_as": read_as,
            "from_store": from_store,
            "mirrored": mirrored,
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


def check(config: Any, *, mirrored: bool = False) -> None:
    """Raises a UserError for the first value that its flag does not take.

    It is a number outside of the flag's range, or names a place that is no
    path.

    Args:
        config: a frozen dataclass.
        mirrored: whether `kliep_tf.stores.configs.local` will make paths of
            addresses in those flags that take part.
    """
    for field in dataclasses.fields(config):
        value, allowed = getattr(config, field.name), field.metadata["range"]
        refuse_url(field, value, mirrored=mirrored)
        if isinstance(value, int | float) and value not in allowed:
            raise UserError(f"--{field.name}={value}: expected {allowed}")


def refuse_url(field: dataclasses.Field, value: Any, *, mirrored: bool) -> None:
    """Raises a UserError for a flag that names an object store or a site.

    Outputs are locked and renamed, which object stores do not offer: their
    names would be taken for those of folders. Records are read from a store
    that TensorFlow knows, and some flags are mirrored: see `check`.
    """
    known: tuple[str, ...] = ()
    if field.metadata.get("from_store"):
        known = TENSORFLOW_SCHEMES
    elif mirrored and field.metadata.get("mirrored"):
        known = (*TENSORFLOW_SCHEMES, *FSSPEC_SCHEMES)
    for text in value if isinstance(value, tuple) else (value,):
        match = _URL.match(text) if isinstance(text, str) else None
        if not match or (match[1] in known and not text[0].isspace()):
            continue
        way = _MOUNTED_BY.get(match[1].lower(), "download it")
        shown = [f"{name}://" for name in ("gs", "s3") if name in known]
        others = f" or {' or '.join(shown)}" if shown else ""
        raise UserError(
            f"--{field.name}={text}: expected a path of this machine{others}, "
            f"found {match[0]}, which is neither read nor written; {way}"
        )


def require_positive(config: Any, *names: str) -> None:
    """Raises a UserError unless each of these flags is 1 or more."""
    for name in names:
        value = getattr(config, name)
        if value < 1:
            raise UserError(f"--{name}={value}: expected 1 or more")


def require_seed(config: Any) -> None:
    """Raises a UserError unless --seed is one that all generators take."""
    if not 0 <= config.seed <= MAX_SEED:
        raise UserError(f"--seed={config.seed}: expected 0 to {MAX_SEED}")


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
        """Returns "1 or more", "0 to 1", "more than 0, less than 1"."""
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
        return ", ".join(words) or "a finite number"


def value_type(field: dataclasses.Field) -> type:
    """Returns the type of a value: int for `int | None`, tuple for tuples."""
    annotation: Any = field.type
    if isinstance(annotation, types.UnionType):
        (annotation,) = set(typing.get_args(annotation)) - {type(None)}
    return typing.get_origin(annotation) or annotation
