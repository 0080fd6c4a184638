"""pytest --cpu-times: prints who uses how much of the processors.

A test's CPU time, unlike the seconds of --durations, counts all threads and
the processes that it starts, and hardly depends on what else runs. A fixture
counts for the test that asks for it first. The files' sum is less than what
the shell's `time` says: that has the start and collection of each process too,
and the imports of the one that tests/processes.py forks.
"""

import collections
import os

import pytest

from tests import processes

_OPTION = "--cpu-times"
_PROPERTY = "cpu_seconds"


def pytest_addoption(parser):
    parser.addoption(
        _OPTION,
        type=int,
        nargs="?",
        const=20,
        metavar="N",
        help="print the CPU seconds of each file and of the N costliest tests",
    )


def _cpu_seconds() -> float:
    """Returns user and system time, that of ended children included."""
    return sum(os.times()[:4]) + processes.cpu_seconds()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    item.stash[_started] = _cpu_seconds()
    return (yield)


_started = pytest.StashKey[float]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    # The teardown is the last; its report carries the whole.
    if call.when == "teardown":
        seconds = _cpu_seconds() - item.stash[_started]
        report.user_properties.append((_PROPERTY, seconds))
    return report


def pytest_terminal_summary(terminalreporter, config):
    number = config.getoption(_OPTION)
    if number is None:
        return
    tests, files = collections.Counter(), collections.Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if name == _PROPERTY:
                    tests[report.nodeid] += value
                    files[report.nodeid.split("::")[0]] += value
    terminalreporter.section("CPU seconds")
    for counter, count in ((files, None), (tests, number)):
        for name, seconds in counter.most_common(count):
            terminalreporter.write_line(f"{seconds:7.1f} {name}")
        terminalreporter.write_line("")
    terminalreporter.write_line(f"{sum(files.values()):7.1f} in all")
