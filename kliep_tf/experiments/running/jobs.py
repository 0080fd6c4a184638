"""Programs whose outputs are found again by what went into them.

A job is one program with its flags. Its identity is a digest of all that
decides its output: the program, the flags, the content of its flagfile, the
fingerprints of the records it reads, and the identities of the jobs whose
outputs it reads. The output lies in a cache under that digest, so experiments
that ask for the same training share one.
"""

import dataclasses
import functools
import hashlib
import json
import os
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from kliep_tf import runs
from kliep_tf.data.records import resolve_records
from kliep_tf.data.tensors import tensor_files
from kliep_tf.errors import UserError

_COMPLETE = "complete"
_NESTED = ("--flagfile=", "-flagfile=")
_COMMENTS = ("#", "//")


@dataclasses.dataclass(frozen=True)
class Records:
    """Records that no job makes, for a flag.

    Attributes:
        pattern: a directory or a glob.
        flag: of the experiment that named them, for messages.
    """

    pattern: str
    flag: str = "records"

    @functools.cached_property
    def fingerprint(self) -> str:
        """Changes with the shards' names, sizes and modification times."""
        return runs.fingerprint(resolve_records(self.pattern, self.flag))


@dataclasses.dataclass(frozen=True)
class Tensors:
    """Pretrained weights that no job makes: a file or a checkpoint's prefix."""

    path: str

    @functools.cached_property
    def fingerprint(self) -> str:
        """Changes with the files' names, sizes and modification times.

        Raises:
            UserError: there is no such file.
        """
        try:
            return runs.fingerprint(tensor_files(self.path))
        except OSError:
            raise UserError(
                f"{self.path}: expected a file of weights, found none"
            ) from None


@dataclasses.dataclass(frozen=True)
class Output:
    """What another job makes, for a flag.

    Attributes:
        job: the maker.
        part: a file or folder in its output, "" for all of it.
    """

    job: "Job"
    part: str = ""


FlagValue = str | int | float | bool | Records | Tensors | Output


@dataclasses.dataclass(frozen=True, eq=False)
class Job:
    """One program and its flags.

    Attributes:
        title: what it does, for people.
        module: what `python -m` runs.
        output_flag: the flag that names its output directory.
        flags: all others.
        flagfile: read before the flags; "" for none.
    """

    title: str
    module: str
    output_flag: str
    flags: Mapping[str, FlagValue]
    flagfile: str = ""

    @functools.cached_property
    def digest(self) -> str:
        """The identity: equal digests mean equal outputs."""
        described = {
            "module": self.module,
            "flagfile": _flagfile_lines(self.flagfile),
            "flags": {
                name: _describe(value) for name, value in self.flags.items()
            },
        }
        text = json.dumps(described, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def name(self) -> str:
        """The program's short name and the digest: the name in the cache."""
        return f"{self.module.rpartition('.')[2]}-{self.digest}"

    @property
    def needs(self) -> list["Job"]:
        """The jobs whose outputs it reads."""
        values = self.flags.values()
        return [value.job for value in values if isinstance(value, Output)]

    def output_dir(self, cache_dir: Path) -> Path:
        """Returns where the output lies."""
        return cache_dir / self.name

    def command(self, cache_dir: Path) -> list[str]:
        """Returns the words of the whole command."""
        words = [sys.executable, "-m", self.module]
        if self.flagfile:
            words.append(f"--flagfile={self.flagfile}")
        words.append(f"--{self.output_flag}={self.output_dir(cache_dir)}")
        words += [
            f"--{name}={_as_argument(value, cache_dir)}"
            for name, value in self.flags.items()
        ]
        return words

    def is_complete(self, cache_dir: Path) -> bool:
        """Whether an earlier run finished this job."""
        directory = self.output_dir(cache_dir)
        if not (directory / runs.CONFIG).exists():
            return False
        return runs.read_config(directory).get("status") == _COMPLETE


def in_order(jobs: Iterable[Job]) -> list[Job]:
    """Returns these jobs and all they need, each once, makers first."""
    found: dict[str, Job] = {}
    for job in jobs:
        for one in _makers_first(job):
            found.setdefault(one.digest, one)
    return list(found.values())


def write_manifest(
    path: Path, jobs: Mapping[str, Job], cache_dir: Path
) -> None:
    """Writes which output in the cache plays which part, with its command.

    Args:
        path: of the JSON file.
        jobs: by the name of the part they play.
        cache_dir: where the outputs lie.
    """
    entries = {
        part: {
            "output": str(job.output_dir(cache_dir)),
            "command": shlex.join(["python", *job.command(cache_dir)[1:]]),
        }
        for part, job in jobs.items()
    }
    runs.write_atomically(path, json.dumps(entries, indent=1) + "\n")


def flagfile_digest(path: str) -> str:
    """Returns a short digest of a flagfile's flags, as jobs see them.

    Raises:
        UserError: there is no such file, or it names itself.
    """
    text = json.dumps(_flagfile_lines(path))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _makers_first(job: Job) -> Iterator[Job]:
    for maker in job.needs:
        yield from _makers_first(maker)
    yield job


def _describe(value: FlagValue) -> str:
    if isinstance(value, Output):
        return f"output {value.job.digest} {value.part}"
    if isinstance(value, Records):
        return f"records {value.fingerprint}"
    if isinstance(value, Tensors):
        return f"weights {value.fingerprint}"
    return f"value {value}"


def _as_argument(value: FlagValue, cache_dir: Path) -> str:
    if isinstance(value, Output):
        return str(value.job.output_dir(cache_dir) / value.part)
    if isinstance(value, Records):
        return value.pattern
    if isinstance(value, Tensors):
        return value.path
    return str(value)


def _flagfile_lines(path: str, inside: tuple[str, ...] = ()) -> list[str]:
    """Returns the flags in a flagfile, so that a new comment changes nothing.

    A flagfile named in it is replaced by its flags, as absl does, so that the
    identity follows them too.

    Raises:
        UserError: there is no such file, or it names itself.
    """
    if not path:
        return []
    if path in inside:
        raise UserError(f"{path}: expected a flagfile, found it within itself")
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, IsADirectoryError):
        raise UserError(f"{path}: expected a flagfile, found none") from None
    found = []
    for line in map(str.strip, lines):
        if line.startswith(_NESTED):
            nested = os.path.expanduser(line.partition("=")[2].strip())
            found += _flagfile_lines(nested, (*inside, path))
        elif line and not line.startswith(_COMMENTS):
            # A value may stand in a line of its own, below its flag.
            found.append(line)
            found += _pretrained_weights(line)
    return found


def _pretrained_weights(line: str) -> list[str]:
    """Returns what identifies the weights that a line of a flagfile names."""
    name, _, path = line.lstrip("-").partition("=")
    if name != "backbone_weights":
        return []
    files = tensor_files(path.strip())
    # Another flag may override one that names no file.
    return [runs.fingerprint(files)] if all(map(os.path.exists, files)) else []
