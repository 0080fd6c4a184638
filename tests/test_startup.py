"""A stand-in for TensorFlow writes what TensorFlow wrote; one test asks it."""

import logging
import os
import runpy
import signal
import subprocess
import sys
import types
from pathlib import Path

import keras
import pytest
import tensorflow

from kliep_tf import startup
from tests.conftest import ROOT

NOTICES = """\
WARNING: All log messages before absl::InitializeLog() is called are written \
to STDERR
I0000 00:00:1795668750.236014    1638 port.cc:153] oneDNN custom operations \
are on. You may see slightly different numerical results
I0000 00:00:1795668750.667519    1638 cpu_feature_guard.cc:227] This \
TensorFlow binary is optimized to use available CPU instructions
To enable the following instructions: AVX2 AVX512F FMA, in other operations, \
rebuild TensorFlow with the appropriate compiler flags.
2026-05-15 11:47:34.726806: I external/local_tsl/tsl/cuda/cudart_stub.cc:32] \
Could not find cuda drivers on your machine, GPU will not be used.
E0000 00:00:1758131045.203198 3722035 cuda_dnn.cc:8579] Unable to register \
cuDNN factory: Attempting to register factory for plugin cuDNN
"""
ERRORS = """\
E0000 00:00:1758131045.203198 3722035 cuda_driver.cc:266] failed call to cuInit
F0000 00:00:1758131045.203198 3722035 cpu_feature_guard.cc:99] The TensorFlow \
library was compiled to use AVX instructions
"""


@pytest.fixture
def run(tmp_path):
    """Runs code with a module tensorflow of one's own."""

    def run_code(code, tensorflow, **environment):
        package = tmp_path / "tensorflow"
        package.mkdir()
        (package / "__init__.py").write_text(tensorflow)
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("TF_")
        }
        path = os.pathsep.join([str(tmp_path), str(ROOT)])
        return subprocess.run(
            [sys.executable, "-c", code],
            env=kept | {"PYTHONPATH": path} | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return run_code


def writing(*texts):
    """Returns a module that writes to stderr as libraries in C++ do."""
    return f"import os\nos.write(2, {''.join(texts)!r}.encode())\n"


HUSHED = "import sys; from kliep_tf import cli; import tensorflow; "


def test_notices_are_dropped_and_errors_kept_in_order(run):
    ended = run(
        HUSHED + "print('own', file=sys.stderr)", writing(NOTICES, ERRORS)
    )
    assert ended.stderr == ERRORS + "own\n"


def test_last_words_of_a_crash_are_kept(run):
    ended = run(HUSHED, writing(NOTICES, ERRORS) + "os.abort()")
    assert ended.returncode == -signal.SIGABRT
    assert ended.stderr == ERRORS


def test_failing_import_keeps_its_traceback(run):
    ended = run(HUSHED, writing(NOTICES) + "raise ImportError('no libfoo')")
    assert ended.stderr.startswith("Traceback")
    assert ended.stderr.endswith("ImportError: no libfoo\n")


def test_notices_are_shown_to_who_asks_for_them(run):
    ended = run(HUSHED, writing(NOTICES), TF_CPP_MIN_LOG_LEVEL="0")
    assert ended.stderr == NOTICES


def test_only_the_import_of_a_program_is_filtered(run):
    # A notebook imports no cli, and after the import fd 2 is what it was.
    assert run("import kliep_tf, tensorflow", writing(NOTICES)).stderr == (
        NOTICES
    )


def test_after_the_import_all_is_as_before(run):
    code = (
        "import os; before = os.fstat(2).st_ino; "
        + HUSHED
        + "assert os.fstat(2).st_ino == before; "
        "assert type(tensorflow.__loader__).__name__ == 'SourceFileLoader'; "
        "assert all('startup' not in repr(item) for item in sys.meta_path); "
        "import gc; assert gc.isenabled(); "
        f"os.write(2, {NOTICES!r}.encode())"
    )
    assert run(code, "").stderr == NOTICES


def test_what_keras_would_import_for_itself_is_left_out(run, tmp_path):
    (tmp_path / "sklearn.py").write_text("print('imported')")
    as_keras_does = (
        "try:\n    import sklearn\nexcept ImportError:\n    print('without')"
    )
    ended = run(HUSHED + "import sklearn", as_keras_does)
    # The program itself can import it, afterwards.
    assert ended.stdout == "without\nimported\n"


def test_what_was_imported_before_stays(run, tmp_path):
    (tmp_path / "sklearn.py").write_text("print('imported')")
    ended = run(f"import sklearn; {HUSHED}", "import sklearn")
    assert ended.stdout == "imported\n" and not ended.stderr


def test_library_computes_as_programs_do(run):
    shows = "import os; print(os.environ.get('TF_ENABLE_ONEDNN_OPTS'))"
    library = "import kliep_tf.data, tensorflow"
    assert run(library, shows).stdout == "1\n"


def test_a_setting_of_the_user_stays(run):
    shows = "import os; print(os.environ.get('TF_ENABLE_ONEDNN_OPTS'))"
    ended = run(HUSHED, shows, TF_ENABLE_ONEDNN_OPTS="0")
    assert ended.stdout == "0\n"


# TensorFlow's own library, which is asked for oneDNN as its import begins,
# without its Python, whose import takes seconds.
LIBRARY_ALONE = f"""
import sys, types
__path__ = {list(tensorflow.__path__)!r}
for name in ("python", "python/util"):
    module = types.ModuleType("tensorflow." + name.replace("/", "."))
    module.__path__ = [f"{{directory}}/{{name}}" for directory in __path__]
    sys.modules[module.__name__] = module
from tensorflow.python.util import _pywrap_util_port
_pywrap_util_port.IsMklEnabled()
"""


@pytest.mark.parametrize("onednn", ["0", "1"])
def test_says_once_that_tensorflow_came_first_without_onednn(run, onednn):
    code = (
        "import os, tensorflow; del os.environ['TF_ENABLE_ONEDNN_OPTS']; "
        "import kliep_tf.data; import kliep_tf.runs"
    )
    ended = run(code, LIBRARY_ALONE, TF_ENABLE_ONEDNN_OPTS=onednn)
    assert ended.returncode == 0, ended.stderr
    lines = [line for line in ended.stderr.splitlines() if "Warning" in line]
    assert len(lines) == (onednn == "0")
    for line in lines:
        assert "import kliep_tf first, or set TF_ENABLE_ONEDNN_OPTS=1" in line


def test_programs_do_not_read_what_a_user_says_to_keras(tmp_path, monkeypatch):
    settings = '{"floatx": "float16", "image_data_format": "channels_first"'
    settings += ', "backend": "jax", "epsilon": "large"}'
    (tmp_path / "keras.json").write_text(settings)
    config = Path(keras.__file__).parent / "src" / "backend" / "config.py"
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    with pytest.raises(ValueError, match="Invalid `epsilon`"):
        runpy.run_path(str(config))
    monkeypatch.delitem(sys.modules, "keras")
    startup.set_environment()
    startup.settle_keras()
    found = runpy.run_path(str(config))
    names = ("backend", "floatx", "image_data_format", "epsilon")
    assert [found[name]() for name in names] == [
        *("tensorflow", "float32", "channels_last", 1e-07)
    ]


def test_keras_that_stands_on_something_else_is_one_line(monkeypatch):
    other = types.SimpleNamespace(
        config=types.SimpleNamespace(backend=lambda: "jax")
    )
    monkeypatch.setitem(sys.modules, "keras", other)
    with pytest.raises(ImportError, match=r"on TensorFlow, found .* on jax; "):
        startup.set_environment()


@pytest.mark.parametrize(
    ("name", "hears"), [("kliep_tf.train", True), ("notebook", False)]
)
def test_interrupt_of_an_import_is_one_line_for_programs(
    monkeypatch, capsys, name, hears
):
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    main = types.SimpleNamespace(__spec__=types.SimpleNamespace(name=name))
    monkeypatch.setitem(sys.modules, "__main__", main)
    startup.tell_early_interrupts()
    assert (sys.excepthook is not sys.__excepthook__) == hears
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    told = capsys.readouterr().err
    assert (told == "error: interrupted before it began\n") == hears
    sys.excepthook(KeyError, KeyError("a bug"), None)
    assert "KeyError: 'a bug'" in capsys.readouterr().err


def test_interrupt_waits_for_the_end_of_the_import(run):
    done = run(
        # What runs in the background has the signal ignored.
        "import signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from kliep_tf import cli\nimport tensorflow",
        "import os, signal\n"
        "os.kill(os.getpid(), signal.SIGINT)\n"
        "print('whole', flush=True)\n",
    )
    assert done.stdout == "whole\n"
    assert done.returncode == -signal.SIGINT


@pytest.mark.parametrize(
    ("message", "is_shown"),
    [
        (
            "5 out of the last 36 calls to <function _solve> triggered "
            "tf.function retracing. Tracing is expensive",
            False,
        ),
        ("The last save was not complete", True),
    ],
)
def test_advice_to_trace_less_does_not_reach_a_programs_user(message, is_shown):
    logger = logging.getLogger("tensorflow")
    record = logger.makeRecord("tensorflow", 30, "f", 1, message, (), None)
    assert bool(logger.filter(record)) == is_shown
