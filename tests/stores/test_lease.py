"""Two writers of one folder, and clocks that a test sets."""

import json
import os

import pytest

from kliep_tf.errors import RefusedError
from kliep_tf.stores import lease
from kliep_tf.stores.folders import open_folder


class Clock:
    """Seconds that pass when a test says so, or somebody waits."""

    def __init__(self):
        self.seconds = 1e9

    def now(self):
        return self.seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def folder(address):
    return open_folder(address)


@pytest.fixture
def make(address, folder, clock, monkeypatch):
    """Makes leases of processes on hosts of their own."""

    def there(host, do):
        def done():
            with monkeypatch.context() as patch:
                patch.setattr(lease.socket, "gethostname", lambda: host)
                do()

        return done

    def of(host, sleep=lambda seconds: None):
        made = lease.Lease(address, folder, now=clock.now, sleep=sleep)
        made.take = there(host, made.take)
        made.renew = there(host, made.renew)
        return made

    return of


def test_one_at_a_time(make, address, clock):
    make("one").take()
    clock.seconds += 42
    with pytest.raises(RefusedError) as error:
        make("two").take()
    text = str(error.value)
    assert text.startswith(f"{address}: in use by process {os.getpid()} of one")
    assert "seen 42 s ago" in text and text.endswith(f"{address}/{lease.FILE}")


def test_a_lease_given_back_is_free(make, folder):
    first = make("one")
    first.take()
    first.leave()
    assert folder.names() == []
    make("two").take()


def test_a_lease_ends_where_nobody_renews_it(make, clock):
    first = make("one")
    first.take()
    for _ in range(20):
        clock.seconds += lease.SECONDS / 2
        first.renew()
    clock.seconds += lease.SECONDS + 1
    make("two").take()
    with pytest.raises(RefusedError, match=r"in use by process .* of two"):
        first.renew()
    first.leave()  # the other's, by now
    with pytest.raises(RefusedError, match=r"in use by process .* of two"):
        make("three").take()


def test_a_lease_that_was_taken_and_given_back_is_lost(make, clock):
    first, second = make("one"), make("two")
    first.take()
    clock.seconds += lease.SECONDS + 1
    second.take()
    second.leave()
    with pytest.raises(RefusedError, match="another process has been at work"):
        first.renew()


def test_who_is_interrupted_while_it_takes_a_lease_leaves_none(make, folder):
    def interrupt(seconds):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make("one", sleep=interrupt).take()
    assert folder.names() == []


def test_of_two_that_begin_together_one_goes_on(make):
    second = make("two")
    first = make("one", sleep=lambda seconds: second.take())
    # Both found the folder free: the first wrote, then the second.
    second._refuse_others = lambda: None
    with pytest.raises(RefusedError, match="of two"):
        first.take()


def test_a_process_of_this_machine_that_is_gone_leaves_no_lease(make, folder):
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    found = {"id": "a", "host": "one", "process": child, "renewed": 1e9}
    # Another machine of that name, such as a container of the same host.
    for machine in ("another", lease._machine()):
        text = json.dumps({**found, "machine": machine})
        folder.write(lease.FILE, text.encode())
        if machine == "another":
            with pytest.raises(RefusedError):
                make("one").take()
    make("one").take()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"id": 1}', "\0", "null"])
def test_a_damaged_lease_is_nobodys(make, folder, text):
    folder.write(lease.FILE, text.encode())
    make("one").take()
