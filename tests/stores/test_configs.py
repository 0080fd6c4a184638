"""Programs whose flags name folders of stores, run as `cli.run` runs them."""

import dataclasses
import json
import re
import sys
import threading
from pathlib import Path

import pytest

from kliep_tf import cli, errors, runs
from kliep_tf.errors import UserError
from kliep_tf.stores import configs, saver
from kliep_tf.stores.addresses import address_of
from kliep_tf.stores.folders import open_folder
from kliep_tf.stores.lease import FILE, Lease


@dataclasses.dataclass(frozen=True)
class CountConfig:
    """Counts to --to, a file a number."""

    output_dir: str = cli.flag("where to", mirrored="output")
    start_dir: str = cli.flag(
        "where from", default="", read_as="start", mirrored="input"
    )
    to: int = cli.flag("how far", default=3, affects_output=False)
    runner: str = cli.flag("who", default="local")
    distribution: str = cli.flag("on what", default="none")


def count(config: CountConfig, at: dict | None = None) -> None:
    """Goes on where it stopped; `at` has what happens at a number."""
    with runs.claim(config.output_dir, "count", config) as claim:
        if claim.finished:
            print(f"{config.output_dir}: done")
            return
        done = len(list(claim.directory.glob("number-*")))
        for number in range(done + 1, config.to + 1):
            (at or {}).get(number, lambda: None)()
            path = claim.directory / f"number-{number}"
            runs.write_atomically(path, str(number))
        claim.finish()
        print(f"{config.output_dir}: wrote {config.to} files")


def run(monkeypatch, *words, main=count):
    """Runs a program to its end and returns its exit status."""
    monkeypatch.setattr(sys, "argv", ["count", *words])
    monkeypatch.setattr(cli, "hear_signals", list)
    with pytest.raises(SystemExit) as end:
        cli.run(main, CountConfig)
    return end.value.code


def content(address):
    folder = open_folder(address)
    return {name: folder.read(name) for name in folder.names()}


def numbers(found):
    return {name: text for name, text in found.items() if "number" in name}


def test_an_output_lies_in_the_store_and_nothing_stays_here(
    address, monkeypatch, capsys, tmp_path
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert run(monkeypatch, f"--output_dir={address}") == 0
    found = content(address)
    assert numbers(found) == {f"number-{n}": b"%d" % n for n in (1, 2, 3)}
    assert found.keys() - numbers(found).keys() == {"config.json"}
    record = json.loads(found["config.json"])["parts"]["output"]
    assert record["status"] == "complete"
    assert record["arguments"]["output_dir"] == address
    assert capsys.readouterr().out == (
        f"{address}: wrote 3 files\n{address}: 4 files put there\n"
    )
    assert not list(tmp_path.iterdir())
    # Again, from another machine: it is found done.
    assert run(monkeypatch, f"--output_dir={address}") == 0
    assert f"{address}: done\n" in capsys.readouterr().out
    assert content(address) == found


def test_a_program_that_ends_early_goes_on_elsewhere(
    address, monkeypatch, capsys
):
    def interrupt():
        raise KeyboardInterrupt

    status = run(
        monkeypatch,
        f"--output_dir={address}",
        main=lambda config: count(config, {3: interrupt}),
    )
    assert status == errors.INTERRUPTED_STATUS
    found = content(address)
    assert numbers(found) == {"number-1": b"1", "number-2": b"2"}
    assert b'"incomplete"' in found["config.json"] and FILE not in found
    reached = []
    run(
        monkeypatch,
        f"--output_dir={address}",
        main=lambda config: count(
            config, {n: lambda n=n: reached.append(n) for n in (1, 2, 3)}
        ),
    )
    assert reached == [3]
    assert numbers(content(address)).keys() == {
        "number-1",
        "number-2",
        "number-3",
    }


def test_what_is_finished_is_put_now_and_then(address, monkeypatch):
    monkeypatch.setattr(saver, "_SECONDS", 0.01)
    there = threading.Event()

    def wait_for_the_store():
        while not numbers(content(address)):
            there.wait(0.01)
        assert b'"incomplete"' in content(address)["config.json"]

    status = run(
        monkeypatch,
        f"--output_dir={address}",
        main=lambda config: count(config, {2: wait_for_the_store}),
    )
    assert status == 0


def test_an_address_is_found_to_be_in_use(address, monkeypatch, capsys):
    other = Lease(address, open_folder(address))
    other.take()
    status = run(monkeypatch, f"--output_dir={address}")
    assert status == errors.SYSTEM_STATUS
    assert f"error: {address}: in use by" in capsys.readouterr().err
    assert content(address).keys() == {FILE}


def test_nothing_is_lost_where_the_store_fails(
    address, monkeypatch, capsys, tmp_path
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def fail():
        def put(self, path, name):
            raise OSError("the network is away")

        monkeypatch.setattr(type(open_folder(address)), "put", put)

    status = run(
        monkeypatch,
        f"--output_dir={address}",
        main=lambda config: count(config, {1: fail}),
    )
    assert status == errors.SYSTEM_STATUS
    text = capsys.readouterr().err
    assert text.startswith(f"error: {address}: the network is away; ")
    kept = Path(re.search(r"has made is in (\S+)\n", text)[1])
    assert kept.is_relative_to(tmp_path)
    assert (kept / "number-3").read_text() == "3"
    assert b'"complete"' in (kept / "config.json").read_bytes()


def test_errors_name_the_address(address, monkeypatch, capsys):
    open_folder(address).write("foreign.txt", b"?")
    assert run(monkeypatch, f"--output_dir={address}") == errors.USER_STATUS
    assert capsys.readouterr().err == (
        f"error: {address}: expected an empty directory or one made by count, "
        "found 'foreign.txt' and no config.json\n"
    )


def test_inputs_come_and_are_never_changed(address, monkeypatch):
    open_folder(f"{address}/start").write("a/b.txt", b"begin")

    def change(config):
        path = Path(config.start_dir, "a", "b.txt")
        assert path.read_text() == "begin"
        path.write_text("changed")
        count(config)

    words = f"--output_dir={address}/end", f"--start_dir={address}/start"
    assert run(monkeypatch, *words, main=change) == 0
    assert content(f"{address}/start") == {"a/b.txt": b"begin"}
    assert numbers(content(f"{address}/end"))


def test_a_folder_inside_another_is_one_with_it(address):
    config = CountConfig(f"{address}/run/inner", start_dir=f"{address}/run/")
    open_folder(f"{address}/run").write("inner/old", b"1")
    with configs.local(config) as here:
        assert here.output_dir == f"{here.start_dir}/inner"
        assert Path(here.output_dir, "old").read_text() == "1"
        Path(here.output_dir, "new").write_text("2")
    # What holds an output is one, though its flag is of an input.
    assert content(f"{address}/run") == {"inner/old": b"1", "inner/new": b"2"}


def test_paths_of_this_machine_stay_what_they_are(tmp_path):
    config = CountConfig(str(tmp_path))
    with configs.local(config) as here:
        assert here is config


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--runner=SparkRunner", "--runner=SparkRunner: expected local"),
        ("--distribution=multi_worker", "--distribution=multi_worker: expec"),
    ],
)
def test_several_machines_are_refused(
    address, monkeypatch, capsys, words, message
):
    status = run(monkeypatch, f"--output_dir={address}", words)
    assert status == errors.USER_STATUS
    assert capsys.readouterr().err.startswith(f"error: {message}")


def test_a_function_called_without_a_mirror_refuses_an_address(address):
    with pytest.raises(UserError, match="expected a path of this machine"):
        cli.check(CountConfig(address))


def test_paths_here_are_known_by_their_addresses(address):
    with configs.local(CountConfig(f"{address}/run")) as here:
        inside = f"{here.output_dir}/weights"
        assert address_of(inside) == f"{address}/run/weights"
        assert address_of(f"{here.output_dir}2") == f"{here.output_dir}2"
        found = runs.arguments_of(dataclasses.replace(here, start_dir=inside))
        assert found["output_dir"] == f"{address}/run"
        assert found["start_dir"] == f"{address}/run/weights"
        text = cli.command_text("count", here)
        assert text.endswith(f"--output_dir={address}/run")
    assert address_of(inside) == inside


def test_an_impatient_end_empties_nothing(address, monkeypatch):
    run(monkeypatch, f"--output_dir={address}")
    before = content(address)

    class Impatient(threading.Thread):
        def join(self, timeout=None):
            raise KeyboardInterrupt

    monkeypatch.setattr(saver.threading, "Thread", Impatient)
    status = run(monkeypatch, f"--output_dir={address}")
    assert status == 0  # nothing was left to be put
    assert content(address) == before


@pytest.mark.parametrize("name", ["a/../b", "."])
def test_addresses_lead_straight_to_a_folder(
    address, monkeypatch, capsys, name
):
    words = f"--output_dir={address}/{name}"
    assert run(monkeypatch, words) == errors.USER_STATUS
    assert "expected an address without . and .." in capsys.readouterr().err


def test_blanks_before_an_address_are_told():
    words = ["count", "--output_dir= gs://bucket/a"]
    with pytest.raises(UserError, match=r"--output_dir= gs://bucket/a: expec"):
        cli.parse(CountConfig, words)


@dataclasses.dataclass(frozen=True)
class EitherConfig:
    """Uses weights, or makes them."""

    weights_dir: str = cli.flag("where", mirrored="either")


def test_what_is_there_is_shared_and_what_is_missing_is_made(address):
    config = EitherConfig(address)
    with configs.local(config) as here:
        count(CountConfig(here.weights_dir))
        # Nobody else makes them now.
        with pytest.raises(errors.RefusedError), configs.local(config):
            pass
    with configs.local(config) as here, configs.local(config) as there:
        for path in (here.weights_dir, there.weights_dir):
            assert Path(path, "number-3").read_text() == "3"


@dataclasses.dataclass(frozen=True)
class ReadingConfig:
    """Reads a run, and writes into it where no other place is named."""

    run_dir: str = cli.flag(
        "which",
        mirrored=lambda config: "input" if config.output_dir else "output",
    )
    output_dir: str = cli.flag("where", default="", mirrored="output")


def test_a_run_that_goes_on_is_read(address):
    run_dir = f"{address}/run"
    Lease(run_dir, open_folder(run_dir)).take()
    with configs.local(ReadingConfig(run_dir, f"{address}/other")):
        pass
    for output_dir in ("", f"{run_dir}/inside"):
        with (
            pytest.raises(errors.RefusedError),
            configs.local(ReadingConfig(run_dir, output_dir)),
        ):
            pass
