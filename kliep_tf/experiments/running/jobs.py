"""Programs whose outputs are found again by what went into them.

A job is one program with its flags. Its identity is a digest of all that
decides its output: the program, the flags, the content of its flagfile, the
fingerprints of the records it reads, and the identities of the jobs whose
outputs it reads. The output lies in a cache under that digest, so experiments
that ask for the same training share one; or it has a place of its own, where
people look for it.
"""

import dataclasses
import functools
import hashlib
import json
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from kliep_tf import fingerprints, runs
from kliep_tf.data.records import resolve_records
from kliep_tf.data.tensors import tensor_files
from kliep_tf.errors import UserError
from kliep_tf.experiments.running.flagfiles import flagfile_lines

_COMPLETE = "complete"


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
        return fingerprints.of(resolve_records(self.pattern, self.flag))


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
            return fingerprints.of(tensor_files(self.path))
        except OSError:
            raise UserError(
                f"{self.path}: expected a file of weights, found none"
            ) from None


@dataclasses.dataclass(frozen=True)
class Output:
    """What another job makes, for a flag.

    Attributes:
        job: the maker.
        inside: a file, a folder or a glob in its output, "" for all of it.
    """

    job: "Job"
    inside: str = ""

    def path(self, root: Path) -> str:
        """Returns where it lies, below the directory of all outputs."""
        return str(self.job.output_dir(root) / self.inside)


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
        place: of the output, below the directory of all; "" for one that the
            digest names.
        part: of the output directory, where the program shares it with other
            jobs, such as a split of records; "" for all of it.
    """

    title: str
    module: str
    output_flag: str
    flags: Mapping[str, FlagValue]
    flagfile: str = ""
    place: str = ""
    part: str = ""

    @functools.cached_property
    def digest(self) -> str:
        """The identity: equal digests mean equal outputs."""
        described = {
            "module": self.module,
            "flagfile": flagfile_lines(self.flagfile),
            "flags": {
                name: _describe(value) for name, value in self.flags.items()
            },
        }
        if self.place:
            described["place"] = self.place
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

    def output_dir(self, root: Path) -> Path:
        """Returns where the output lies, below the directory of all."""
        return root / (self.place or self.name)

    def command(self, root: Path) -> list[str]:
        """Returns the words of the whole command."""
        words = [sys.executable, "-m", self.module]
        if self.flagfile:
            words.append(f"--flagfile={self.flagfile}")
        words.append(f"--{self.output_flag}={self.output_dir(root)}")
        words += [
            f"--{name}={_as_argument(value, root)}"
            for name, value in self.flags.items()
        ]
        return words

    def is_complete(self, root: Path) -> bool:
        """Whether an earlier run finished this job."""
        directory = self.output_dir(root)
        if not (directory / runs.CONFIG).exists():
            return False
        part = (self.part,) if self.part else ()
        try:
            record = runs.read_config(directory, *part)
        except UserError:
            # Another part alone; or no record at all, as the program will say.
            return False
        return record.get("status") == _COMPLETE


def in_order(jobs: Iterable[Job]) -> list[Job]:
    """Returns these jobs and all they need, each once, makers first."""
    found: dict[str, Job] = {}
    for job in jobs:
        for one in _makers_first(job):
            found.setdefault(one.digest, one)
    return list(found.values())


def write_manifest(path: Path, jobs: Mapping[str, Job], root: Path) -> None:
    """Writes which output plays which part, with its command.

    Args:
        path: of the JSON file.
        jobs: by the name of the part they play.
        root: the directory of all outputs.
    """
    entries = {
        part: {
            "output": str(job.output_dir(root)),
            "command": shlex.join(["python", *job.command(root)[1:]]),
        }
        for part, job in jobs.items()
    }
    runs.write_atomically(path, json.dumps(entries, indent=1) + "\n")


def _makers_first(job: Job) -> Iterator[Job]:
    for maker in job.needs:
        yield from _makers_first(maker)
    yield job


def _describe(value: FlagValue) -> str:
    if isinstance(value, Output):
        return f"output {value.job.digest} {value.inside}"
    if isinstance(value, Records):
        return f"records {value.fingerprint}"
    if isinstance(value, Tensors):
        return f"weights {value.fingerprint}"
    return f"value {value}"


def _as_argument(value: FlagValue, root: Path) -> str:
    if isinstance(value, Output):
        return value.path(root)
    if isinstance(value, Records):
        return value.pattern
    if isinstance(value, Tensors):
        return value.path
    return str(value)
