"""What holds before TensorFlow is imported: its settings and its notices.

`import kliep_tf` sets what changes speed and results, for programs and for
notebooks alike. A program (`kliep_tf.cli`) hushes TensorFlow as well, and
leaves out what Keras imports for features that no program uses.

TensorFlow's libraries write notices as they are loaded ("Could not find cuda
drivers"), before TF_CPP_MIN_LOG_LEVEL has any effect (tensorflow issue 100442).
While a program imports TensorFlow, its stderr therefore passes through a filter
that drops these notices and nothing else. The filter is a process of its own,
so that a fatal message ("compiled to use AVX instructions, but these aren't
available") is still seen when it is this process's last word.
"""

import contextlib
import gc
import importlib.abc
import importlib.machinery
import importlib.util
import logging
import os
import pathlib
import platform
import signal
import subprocess
import sys
import threading
import types
import warnings
from collections.abc import Iterator, Sequence

# Off by default on CPUs without AVX-512, where oneDNN's convolutions still take
# a half to an eighth of the time of TensorFlow's own in a generator's gradient.
_ONEDNN = "TF_ENABLE_ONEDNN_OPTS"
# Whose modules are programs.
_PACKAGES = ("kliep_tf", "tfrecords_tools")
_LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
_BACKEND = "KERAS_BACKEND"
# Holds a keras.json of Keras's own defaults.
_KERAS_HOME = pathlib.Path(__file__).parent / "keras_home"

# Lines of level I, what surrounds them, and what TensorFlow calls an error or a
# warning although it is none: plugins of CUDA that two libraries register.
_NOTICES = (
    rb"WARNING: All log messages before absl::InitializeLog\(\) is called",
    rb"I\d{4} [\d:.]+ +\d+ \S+\.cc:\d+\]",
    rb"\d{4}-\d\d-\d\d [\d:.]+ I \S+\.cc:\d+\]",
    rb"To enable the following instructions: ",
    rb".*Unable to register cu(FFT|DNN|BLAS) factory",
    rb".*computation placer already registered",
)
_FILTER = """
import re, sys
notice = re.compile(rb"|".join({notices!r}))
for line in sys.stdin.buffer:
    if not notice.match(line):
        sys.stderr.buffer.write(line)
        sys.stderr.buffer.flush()
"""
_SECONDS_FOR_THE_LAST_LINE = 5

# Keras does without them where they are not installed. It imports them for
# wrappers and galleries, in a third of the time that all of TensorFlow takes.
_LEFT_OUT = ("sklearn", "matplotlib")


def set_environment() -> None:
    """Sets what TensorFlow and Keras compute with.

    oneDNN is on unless the user has set it; it is said where TensorFlow was
    imported before, with another setting. Keras stands on TensorFlow, whatever
    the user's keras.json or KERAS_BACKEND say.

    Raises:
        ImportError: Keras was imported before, on something else.
    """
    _set_backend()
    if _ONEDNN in os.environ:
        return
    os.environ[_ONEDNN] = "1"
    if "tensorflow" in sys.modules and not _has_onednn():
        warnings.warn(
            "TensorFlow was imported before kliep_tf and computes without "
            "oneDNN, which makes convolutions on CPUs up to eight times "
            f"slower: import kliep_tf first, or set {_ONEDNN}=1",
            stacklevel=3,  # where kliep_tf is imported
        )


def settle_keras() -> None:
    """Makes a program's Keras that of the tests, not of a user's keras.json.

    That file may say float16, channels first or something that Keras does not
    read. A notebook keeps it: there the user may mean it.
    """
    if "keras" not in sys.modules:
        os.environ["KERAS_HOME"] = str(_KERAS_HOME)


def tell_early_interrupts() -> None:
    """Makes a Ctrl-C while TensorFlow is still imported one line, too.

    Later, `cli.run` has it. The exit status is Python's, 128 + SIGINT.
    """
    main = getattr(sys.modules.get("__main__"), "__spec__", None)
    if main is not None and main.name.split(".")[0] in _PACKAGES:
        sys.excepthook = _tell_interrupt


def _tell_interrupt(
    kind: type[BaseException],
    error: BaseException,
    trace: types.TracebackType | None,
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        print("error: interrupted before it began", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


def _set_backend() -> None:
    keras = sys.modules.get("keras")
    if keras is None:
        os.environ[_BACKEND] = "tensorflow"
        return
    backend = keras.config.backend()
    if backend != "tensorflow":
        raise ImportError(
            f"kliep_tf: expected Keras on TensorFlow, found it imported on "
            f"{backend}; import kliep_tf first, or set {_BACKEND}=tensorflow"
        )


def hush_tensorflow() -> None:
    """Keeps TensorFlow's notices from a program's stderr; errors still pass.

    Whoever wants them sets TF_CPP_MIN_LOG_LEVEL to 0. TensorFlow is then
    imported without what Keras imports for itself alone.
    """
    level = os.environ.setdefault(_LOG_LEVEL, "3")
    if level != "0":
        logging.getLogger("tensorflow").addFilter(_is_no_advice)
    if "tensorflow" not in sys.modules:
        sys.meta_path.insert(0, _Finder(hush=level != "0"))


def _is_no_advice(record: logging.LogRecord) -> bool:
    """Whether a message of TensorFlow is for the user of a program.

    That a function is traced again for samples or images of another size is
    what the program was asked for.
    """
    return "triggered tf.function retracing" not in str(record.msg)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds TensorFlow, with a loader that imports less, and silently."""

    def __init__(self, hush: bool) -> None:
        self.hush = hush
        self._asking_others = False

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: types.ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        """Returns the spec of TensorFlow, None for all other modules."""
        if fullname != "tensorflow" or self._asking_others:
            return None
        self._asking_others = True
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._asking_others = False
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, finder=self)
        return spec


class _Loader(importlib.abc.Loader):
    """Loads a module, once: without what is left out, and silently."""

    def __init__(self, loader: importlib.abc.Loader, finder: _Finder) -> None:
        self._loader, self._finder = loader, finder

    def create_module(
        self, spec: importlib.machinery.ModuleSpec
    ) -> types.ModuleType | None:
        """Returns what the module's own loader does."""
        return self._loader.create_module(spec)

    def exec_module(self, module: types.ModuleType) -> None:
        """Runs the module, which has its own loader again."""
        sys.meta_path.remove(self._finder)
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        hushed = (
            _filtered_stderr if self._finder.hush else contextlib.nullcontext
        )
        with _uninterrupted(), hushed(), _left_out(), _uncollected():
            self._loader.exec_module(module)


@contextlib.contextmanager
def _left_out() -> Iterator[None]:
    """Imports of what is left out fail, as where it is not installed."""
    absent = [name for name in _LEFT_OUT if name not in sys.modules]
    for name in absent:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Lets a Ctrl-C wait for the end of the import, which it would abort."""
    hears = signal.getsignal(signal.SIGINT)
    if (
        threading.current_thread() is not threading.main_thread()
        or not callable(hears)
    ):
        yield
        return
    came: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, hears)
    if came:
        hears(signal.SIGINT, None)


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Spares the garbage collector what is imported, then and later.

    Half a million objects that stay, looked through again and again while they
    are made, take a fifth of the import's time.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()


@contextlib.contextmanager
def _filtered_stderr() -> Iterator[None]:
    """Drops notices from file descriptor 2, where C++ writes them, too."""
    code = _FILTER.format(notices=_NOTICES)
    try:
        filtering = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", code],
            stdin=subprocess.PIPE,
            start_new_session=True,  # out of the reach of a Ctrl-C
        )
        stderr = os.dup(2)
    except OSError:  # no stderr, or no room for one more process
        yield
        return
    assert filtering.stdin is not None
    sys.stderr.flush()
    os.dup2(filtering.stdin.fileno(), 2)
    filtering.stdin.close()
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(stderr, 2)
        os.close(stderr)
        # In vain where something that TensorFlow started still writes.
        with contextlib.suppress(subprocess.TimeoutExpired):
            filtering.wait(_SECONDS_FOR_THE_LAST_LINE)


def _has_onednn() -> bool:
    """Whether TensorFlow computes with oneDNN, where it was built with it."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return True
    from tensorflow.python.util import _pywrap_util_port

    return _pywrap_util_port.IsMklEnabled()
