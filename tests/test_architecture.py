"""Imports go down only, as docs/architecture.md draws the house."""

import ast
import functools
import re
import sys
from pathlib import Path

import pytest

from kliep_tf.translation import methods
from tests.conftest import ROOT

PACKAGES = ("kliep_tf", "tfrecords_tools")
SUBJECTS = ("density_ratio", "translation", "segmentation", "realism")

# Under kliep_tf, the floor of every folder and file that is no program. The
# files right under kliep_tf that are not named here are the programs: floor 3.
FLOORS = {
    "": 0,  # kliep_tf itself: its version
    "errors": 0,
    "endings": 0,
    "startup": 0,
    "flag_fields": 0,
    "flagfiles": 0,
    "cli": 0,
    "json_files": 0,
    "runs": 0,
    "run_records": 0,
    "progress": 0,
    "ordered_map": 0,
    "scratch": 0,
    "stores": 0,
    "shard_runners": 0,
    "worker_processes": 0,
    "data": 1,
    "fingerprints": 1,
    "training": 2,
    "density_ratio": 2,
    "translation": 2,
    "segmentation": 2,
    "realism": 2,
    "experiments": 4,
}
PROGRAM_FLOOR = 3

# kliep_tf/experiments is a house in the house: its programs stand right under
# it, above what one kind of experiment is made of, above what all share. Parts
# of one floor never import each other.
EXPERIMENTS = "kliep_tf/experiments"
EXPERIMENT_FLOORS = {
    "": 0,  # kliep_tf.experiments itself: nothing
    "running": 1,
    "reporting": 1,
    "comparison": 2,
    "demo_run": 2,
    "estimator_study": 2,
    "feature_study": 2,
    "label_study": 2,
    "toy_study": 2,
}
EXPERIMENT_PROGRAM_FLOOR = 3

# A translation method is a folder here. What stands beside `methods` knows none
# of them, and they do not know each other, but for those that extend another:
# {"the one that extends": "the one that is extended"}.
METHODS = "kliep_tf/translation/methods"
EXTENDS: dict[str, str] = {"cycada": "cyclegan"}

# What the programs of tfrecords_tools may import of kliep_tf.
OPEN_TO_TOOLS = (
    "",
    "errors",
    "cli",
    "fingerprints",
    "runs",
    "json_files",
    "progress",
    "ordered_map",
    "shard_runners",
    "worker_processes",
    "stores",
    "data",
)

# What runs code of a file as it reads it.
UNPICKLERS = {
    "cloudpickle",
    "dill",
    "joblib",
    "marshal",
    "pickle",
    "shelve",
    "torch",
}

FILES = sorted(
    str(path.relative_to(ROOT))
    for package in PACKAGES
    for path in (ROOT / package).rglob("*.py")
)
LOCKS = ("requirements.lock", "requirements-cuda.lock")
# Extras of setup.py that the packages import.
OPTIONAL = ("beam", "dask", "s3")


@functools.cache
def tree_of(file: str) -> ast.Module:
    return ast.parse((ROOT / file).read_text(encoding="utf-8"))


@functools.cache
def imports_of(file: str) -> frozenset[str]:
    """Returns the modules that a file imports anywhere, names included.

    `from a.b import c` counts as a.b.c: whether c is a module or a name in
    one, it says which part of the house is meant.
    """
    found = set()
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}: a relative import"
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(found)


def imported_at_once(file: str) -> set[str]:
    """Returns the modules that a file imports when it is imported itself."""
    found, nodes = set(), list(tree_of(file).body)
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif not isinstance(node, ast.FunctionDef):
            nodes += ast.iter_child_nodes(node)
    return found


def imports_of_package(file: str, package: str) -> set[str]:
    return {name for name in imports_of(file) if name.split(".")[0] == package}


@functools.cache
def part_of(module: str) -> str:
    """Returns "data" for kliep_tf.data.records, "" for kliep_tf's names."""
    _, _, rest = module.partition(".")
    part = rest.split(".")[0]
    is_name = (
        not (ROOT / "kliep_tf" / part).is_dir()
        and not (ROOT / "kliep_tf" / f"{part}.py").is_file()
    )
    return "" if is_name else part


def floor_of(part: str) -> int:
    return FLOORS.get(part, PROGRAM_FLOOR)


def may_import(importer: str, imported: str) -> bool:
    """Whether one part of kliep_tf may import another one."""
    if importer == imported:
        return True
    if importer == "training" or imported in SUBJECTS:
        # Subjects share what stands in training, and not each other.
        return floor_of(imported) < floor_of(importer)
    return floor_of(imported) <= floor_of(importer)


def may_import_experiment(importer: str, imported: str) -> bool:
    """Whether one part of kliep_tf.experiments may import another one."""
    floors = [
        EXPERIMENT_FLOORS.get(part, EXPERIMENT_PROGRAM_FLOOR)
        for part in (importer, imported)
    ]
    return importer == imported or floors[1] < floors[0]


def experiment_part_of(module: str) -> str:
    """Returns "running" for kliep_tf.experiments.running.jobs."""
    return module.removeprefix("kliep_tf.experiments").split(".")[:2][-1]


def files_of(package: str) -> list[str]:
    return [file for file in FILES if file.startswith(f"{package}/")]


def own_part(file: str) -> str:
    parts = Path(file).with_suffix("").parts[1:]
    return "" if parts[0] == "__init__" else parts[0]


@pytest.mark.parametrize(
    ("importer", "imported", "expected"),
    [
        ("train", "translation", True),
        ("train", "estimate_weights", True),
        ("translation", "training", True),
        ("translation", "data", True),
        ("translation", "segmentation", False),
        ("training", "translation", False),
        ("data", "training", False),
        ("data", "runs", True),
        ("runs", "data", False),
        ("segmentation", "train", False),
        ("train", "experiments", False),
        ("experiments", "train", True),
    ],
)
def test_the_rule_itself(importer, imported, expected):
    assert may_import(importer, imported) is expected


# One test a rule, not one a file: that would be two thousand, which cost pytest
# some seconds. Each collects (file, what is wrong there).


def test_imports_go_down_only():
    assert not [
        (file, name)
        for file in files_of("kliep_tf")
        for name in imports_of_package(file, "kliep_tf")
        if not may_import(own_part(file), part_of(name))
    ]


def method_of(module: str) -> str:
    """Returns "cyclegan" for kliep_tf.translation.methods.cyclegan.model.

    Returns "" for what is no part of a method, the registry among it.
    """
    above, _, rest = module.partition("kliep_tf.translation.methods.")
    name = rest.split(".")[0]
    return name if not above and (ROOT / METHODS / name).is_dir() else ""


def test_methods_are_known_to_no_other_part_of_translation():
    for file in files_of("kliep_tf/translation"):
        importer = method_of(file.removesuffix(".py").replace("/", "."))
        allowed = {"", importer, EXTENDS.get(importer, "")}
        if not importer:
            allowed = {""}
        imported = imports_of_package(file, "kliep_tf")
        wrong = [name for name in imported if method_of(name) not in allowed]
        assert not wrong, file
        if not importer and not file.startswith(METHODS):
            # Nor the registry, by which it would know them all.
            registry = "kliep_tf.translation.methods"
            assert not any(n.startswith(registry) for n in imported), file


def test_programs_know_methods_by_the_registry_alone():
    assert not [
        (file, name)
        for file in FILES
        if not file.startswith("kliep_tf/translation/")
        for name in imports_of(file)
        if method_of(name)
    ]


def test_every_method_has_its_line_in_the_registry():
    folders = {
        path.parent.name for path in (ROOT / METHODS).glob("*/__init__.py")
    }
    assert folders == set(methods.METHODS)


@pytest.mark.parametrize(
    ("importer", "imported", "expected"),
    [
        ("toy", "toy_study", True),
        ("toy_study", "reporting", True),
        ("toy_study", "toy_study", True),
        ("toy_study", "toy", False),
        ("toy_study", "comparison", False),
        ("reporting", "running", False),
        ("running", "comparison", False),
        ("cohorts", "table1", False),
    ],
)
def test_the_rule_of_experiments(importer, imported, expected):
    assert may_import_experiment(importer, imported) is expected


def test_experiments_share_what_stands_below_them_only():
    for file in files_of(EXPERIMENTS):
        part = Path(file).relative_to(EXPERIMENTS).with_suffix("").parts[0]
        importer = "" if part == "__init__" else part
        closed = [
            name
            for name in imports_of_package(file, "kliep_tf")
            if part_of(name) == "experiments"
            and not may_import_experiment(importer, experiment_part_of(name))
        ]
        assert not closed, file


def test_every_folder_of_experiments_has_its_floor():
    folders = {Path(file).parent for file in files_of(EXPERIMENTS)}
    parts = {path.relative_to(EXPERIMENTS).as_posix() for path in folders}
    assert {"" if part == "." else part for part in parts} == set(
        EXPERIMENT_FLOORS
    )


def test_what_stands_right_under_experiments_is_a_program():
    for file in files_of(EXPERIMENTS):
        path = Path(file)
        if str(path.parent) == EXPERIMENTS and path.name != "__init__.py":
            last = tree_of(file).body[-1]
            assert isinstance(last, ast.If), file
            assert ast.unparse(last.test) == "__name__ == '__main__'", file
            assert ast.unparse(last.body[-1]).startswith("cli.run("), file


def test_kliep_tf_never_imports_the_tools():
    assert not [
        (file, name)
        for file in files_of("kliep_tf")
        for name in imports_of_package(file, "tfrecords_tools")
    ]


def test_tools_import_the_lower_floors_only():
    assert not [
        (file, name)
        for file in files_of("tfrecords_tools")
        for name in imports_of_package(file, "kliep_tf")
        if part_of(name) not in OPEN_TO_TOOLS
    ]


def test_only_cli_knows_flags():
    for file in set(FILES) - {"kliep_tf/cli.py"}:
        names = {name.rpartition(".")[0] for name in imports_of(file)}
        names |= imports_of(file)
        assert not names & {"absl.flags", "absl.app"}, file


def test_programs_import_cli_before_tensorflow():
    for file in FILES:
        body = tree_of(file).body
        if not isinstance(body[-1], ast.If):
            continue
        lines = [ast.unparse(node) for node in body]
        if "cli.run(" not in lines[-1]:
            continue
        cli = [row for row, line in enumerate(lines) if "import cli" in line]
        tensorflow = [
            row
            for row, line in enumerate(lines)
            if re.match("(import|from) (tensorflow|keras)", line)
        ]
        assert cli[0] < min(tensorflow, default=len(lines)), file


def test_init_files_hold_a_docstring_and_only_the_top_one_more():
    top = "kliep_tf/__init__.py"
    # In the registry a method is one line.
    others = {top, f"{METHODS}/__init__.py"}
    for file in FILES:
        if file.endswith("__init__.py") and file not in others:
            assert not body_of(file), file
    # TensorFlow reads its settings once, when it is imported: they are
    # set before any module of ours can have imported it.
    imported, version, call = map(ast.unparse, body_of(top))
    assert imported == "from kliep_tf.startup import set_environment"
    assert version.startswith("__version__ = ")
    assert call == "set_environment()"


def body_of(file: str) -> list[ast.stmt]:
    """Returns a file's statements after its docstring."""
    tree = tree_of(file)
    return tree.body[1:] if ast.get_docstring(tree) else tree.body


def test_every_import_is_a_declared_requirement():
    declared = {
        re.match(r"[\w-]+", requirement)[0]
        for requirement in (*_requirements_of_setup(), *_optional_of_setup())
    }
    package_of = {
        "absl": "absl-py",
        "apache_beam": "apache-beam",
        "google_crc32c": "google-crc32c",
        "PIL": "pillow",
        "sklearn": "scikit-learn",
        "tensorflow_probability": "tensorflow-probability",
    }
    imported = {
        name.split(".")[0] for file in FILES for name in imports_of(file)
    }
    imported -= {*sys.stdlib_module_names, *PACKAGES}
    assert {package_of.get(name, name) for name in imported} <= declared


def _requirements_of_setup() -> list[str]:
    return _values_of_setup()["REQUIREMENTS"]


def _optional_of_setup() -> list[str]:
    """What one module imports, when it is asked for."""
    extras = _values_of_setup()["EXTRAS"]
    return [requirement for name in OPTIONAL for requirement in extras[name]]


def _values_of_setup() -> dict:
    """Evaluates the constants of setup.py, which would run if imported."""
    values = {}
    for node in ast.parse((ROOT / "setup.py").read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and node.targets[0].id in (
            "TENSORFLOW",
            "REQUIREMENTS",
            "EXTRAS",
        ):
            exec(ast.unparse(node), values)
    return values


def _pins(lock: str) -> set[str]:
    lines = (ROOT / lock).read_text(encoding="utf-8").splitlines()
    return {line for line in lines if not line.lstrip().startswith("#")}


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_pins_releases_and_names_no_place(lock):
    pin = re.compile(r"[a-z0-9-]+==[0-9][\w.]*( ; [\w.' <>=!]+)?")
    assert [line for line in _pins(lock) if not pin.fullmatch(line)] == []
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert "://" not in text
    assert "--" not in text


def test_lock_with_cuda_adds_to_the_plain_one():
    plain, cuda = map(_pins, LOCKS)
    assert plain < cuda
    assert all(line.startswith("nvidia-") for line in cuda - plain)


def test_lock_holds_every_requirement_of_setup():
    pinned = {line.partition("==")[0] for line in _pins(LOCKS[0])}
    for requirement in _requirements_of_setup():
        assert re.match(r"[\w-]+", requirement)[0] in pinned


def test_nothing_is_unpickled():
    for file in FILES:
        imported = {name.split(".")[0] for name in imports_of(file)}
        assert not imported & UNPICKLERS, file
        for node in ast.walk(tree_of(file)):
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                assert isinstance(node.value, ast.Constant), file
                assert node.value.value is False, file


def test_tensorflow_probability_is_imported_when_it_is_asked_for():
    """One module imports it, and only a function imports that module."""
    module = "kliep_tf.density_ratio.tfp_kernels"
    file = module.replace(".", "/") + ".py"
    assert "tensorflow_probability" in imported_at_once(file)
    for other in set(FILES) - {file}:
        found = imported_at_once(other)
        assert not any(name.startswith(module) for name in found), other
        assert "tensorflow_probability" not in imports_of(other), other
