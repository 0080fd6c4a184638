"""Every flag of every program: a bucket is no folder."""

import dataclasses
import re

import pytest

from kliep_tf import cli
from kliep_tf.errors import UserError
from tests.conftest import ROOT
from tests.test_docs import config_class_of

PROGRAMS = sorted(
    str(path.relative_to(ROOT).with_suffix("")).replace("/", ".")
    for folder in ("kliep_tf", "tfrecords_tools")
    for path in (ROOT / folder).rglob("*.py")
    if "\n    cli.run(" in path.read_text("utf-8") and path.name != "cli.py"
)


def required_words(config_class):
    """Returns a value that parses for each flag that must be given."""
    for field in dataclasses.fields(config_class):
        if field.default is dataclasses.MISSING:
            first, *_ = field.metadata["choices"] or ("1",)
            yield f"--{field.name}={first}"


def takes_text(field):
    return (
        cli.value_type(field) in (str, tuple)
        and not field.metadata["choices"]
        and not field.metadata["adds"]
    )


def test_all_programs_are_here():
    assert len(PROGRAMS) > 15
    assert "kliep_tf.translate" in PROGRAMS
    assert "tfrecords_tools.convert_folder" in PROGRAMS


@pytest.mark.parametrize("program", PROGRAMS)
def test_flags_refuse_a_bucket_in_one_line(program):
    config_class = config_class_of(program)
    required = list(required_words(config_class))
    fields = [*filter(takes_text, dataclasses.fields(config_class))]
    for field in fields:
        words = ["program", *required, f"--{field.name}=gs://bucket/a"]
        with pytest.raises(UserError) as error:
            cli.parse(config_class, words)
        start = f"--{field.name}=gs://bucket/a: expected a path of this machine"
        assert str(error.value).startswith(start)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("url", "way"),
    [
        ("gs://bucket", "gcsfuse"),
        ("S3://bucket", "Mountpoint for Amazon S3"),
        ("https://host/a", "download it"),
        ("file:///a", "leave file:// out"),
    ],
)
def test_the_way_out_is_named(url, way):
    with pytest.raises(UserError, match=re.escape(way)):
        cli.refuse_url("records", ("records/a", url))


def test_paths_and_options_are_no_urls():
    for value in ("a:1", "train:0.9,val:0.1", "C:/a", "--t=gs://a", "a/b://"):
        cli.refuse_url("records", value)
