"""README and docs say nothing that a command, a link or Python contradicts."""

import ast
import importlib
import os
import re
import shlex
from pathlib import Path

import pytest
from matplotlib.mathtext import MathTextParser

from kliep_tf import cli
from kliep_tf.translation.exporting import write_saved_model
from kliep_tf.translation.methods.cyclegan.method import exportable
from kliep_tf.translation.networks import make_generator
from tests.conftest import ROOT

PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md")
    + tuple((ROOT / "docs").rglob("*.md"))
)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
EQUATION = re.compile(r"\$\$(.+?)\$\$|\$(\S(?:[^$\n]*\S)?)\$", re.DOTALL)
PLACEHOLDERS = ("...", "<")


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks_of(page: str, *languages: str) -> list[str]:
    return [
        body
        for language, body in FENCE.findall(text_of(page))
        if language in languages
    ]


def commands_of(page: str) -> list[list[str]]:
    """Returns the words of each `python -m ...` in a page's blocks."""
    found = []
    for block in blocks_of(page, "", "bash", "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            words = [word.removeprefix(".venv/bin/") for word in words]
            while words and re.match(r"[A-Z_]+=", words[0]):
                words = words[1:]  # an environment variable
            if words[:2] == ["python", "-m"]:
                found.append(words[2:])
    return found


COMMANDS = sorted(
    {
        (page, shlex.join(words))
        for page in PAGES
        for words in commands_of(page)
        if not any(mark in word for word in words for mark in PLACEHOLDERS)
    }
)


def config_class_of(module_name: str) -> type:
    """Returns the config of the program's last line, cli.run(f, Config)."""
    module = importlib.import_module(module_name)
    last = ast.parse(Path(module.__file__).read_text("utf-8")).body[-1]
    call = ast.unparse(last.body[-1])
    name = re.fullmatch(r"cli\.run\(\w+, (\w+)\)", call)[1]
    return getattr(module, name)


def heading_ids(text: str) -> set[str]:
    """Returns the anchors that a page's headings get."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    words = [re.sub(r"[^\w\s-]", "", heading.lower()) for heading in headings]
    return {re.sub(r"[\s-]+", "-", heading).strip("-") for heading in words}


def test_readme_fits_a_door():
    assert len(text_of("README.md").splitlines()) <= 120


def test_readme_has_the_way_in_six_commands():
    programs = [words[0].split(".")[-1] for words in commands_of("README.md")]
    assert [p for p in programs if p != "exponents"] == [
        "render_demo",
        "convert_gta5",
        "convert_cityscapes",
        "estimate_weights",
        "train",
        "translate",
    ]


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_command_is_understood_by_its_program(page, command, monkeypatch):
    monkeypatch.chdir(ROOT)  # flagfiles are named from there
    module, *arguments = shlex.split(command)
    cli.parse(config_class_of(module), [module, *arguments])


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page):
    text = FENCE.sub("", text_of(page))
    for link in LINK.findall(text):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), link
        # The API's anchors are made when the site is built.
        if anchor and "docs/api" not in os.path.relpath(target, ROOT):
            assert anchor in heading_ids(target.read_text("utf-8")), link


@pytest.mark.parametrize("page", PAGES)
def test_every_equation_can_be_drawn(page):
    text = re.sub(r"`[^`\n]*`", "", FENCE.sub("", text_of(page)))
    for displayed, inline in EQUATION.findall(text):
        tex = " ".join((displayed or inline).split())
        MathTextParser("path").parse(f"${tex}$")


@pytest.mark.parametrize(
    ("page", "number", "code"),
    [
        (page, number, code)
        for page in PAGES
        for number, code in enumerate(blocks_of(page, "python"))
    ],
)
def test_python_runs_as_printed(page, number, code, run_of_readme, monkeypatch):
    monkeypatch.chdir(run_of_readme)
    exec(compile(code, f"{page}, block {number}", "exec"), {})


@pytest.fixture(scope="module")
def run_of_readme(tmp_path_factory):
    """A directory with the SavedModel that the README's commands leave."""
    directory = tmp_path_factory.mktemp("readme")
    network = make_generator(filters=2, num_residual_blocks=1)
    write_saved_model(exportable(network), directory / "runs/demo/saved_model")
    return directory
