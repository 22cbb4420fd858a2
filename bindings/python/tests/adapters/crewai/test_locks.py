"""CrewAI's locks as claims, through CrewAI's own lock()."""

import contextlib
import multiprocessing
import os
import threading
import time

import pytest
from crewai_core.lock_store import lock, set_lock_backend
from flows import add_under_lock, freeze, hold, in_thread, is_free, thaw, told_of
from portalocker.exceptions import LockException

import keystile
from keystile.crewai import KeystileLockBackend, unwrap


@pytest.fixture
def use():
    """Make CrewAI use this backend."""
    yield set_lock_backend
    set_lock_backend(None)


def test_a_lock_is_a_claim_while_the_block_runs(store, use):
    use(KeystileLockBackend(store))
    for _ in range(2):
        with lock("sqlite:/a/b.db"):
            assert not is_free(store, "crewai/locks/sqlite:/a/b.db")
            with lock("sqlite:/a/c.db"):  # another one
                pass
        assert is_free(store, "crewai/locks/sqlite:/a/b.db")
    with pytest.raises(ZeroDivisionError), lock("x"):
        raise ZeroDivisionError
    assert is_free(store, "crewai/locks/x")


def test_a_lock_keeps_out_until_the_timeout(store, url, use):
    def try_it():
        with lock("x", timeout=0.05):
            pass

    use(KeystileLockBackend(store))
    with lock("x"), keystile.open(url) as other:
        for backend in (KeystileLockBackend(other), KeystileLockBackend(store)):
            use(backend)
            began = time.monotonic()
            with pytest.raises(LockException, match="'x'") as caught, lock("x", timeout=0.05):
                pass
            assert time.monotonic() - began >= 0.05
            assert unwrap(caught.value).owner.pid == os.getpid()
        assert in_thread(try_it) == "Held"
    try_it()


def test_names_that_are_too_long_for_a_key(store, use):
    use(KeystileLockBackend(store))
    one, two = "file:/" + "ä" * 1000, "file:/" + "ä" * 1001
    with lock(one), lock(two):
        with pytest.raises(LockException), lock(one, timeout=0):
            pass


@pytest.mark.parametrize("lease", [-1, float("nan"), "x"])
def test_what_is_no_lease(store, lease):
    with pytest.raises((ValueError, TypeError)):
        KeystileLockBackend(store, lease=lease)


def test_a_lease_is_renewed_while_the_block_runs(store, use):
    use(KeystileLockBackend(store, lease=2))
    with lock("x"):
        end = time.monotonic() + 2.5
        while time.monotonic() < end:
            assert not is_free(store, "crewai/locks/x")
            time.sleep(0.01)
    assert is_free(store, "crewai/locks/x")


def test_who_lost_the_lock_is_told_at_the_end_of_its_block(store, use):
    for lease in (None, 60):
        use(KeystileLockBackend(store, lease=lease))
        with pytest.raises(keystile.Fenced), lock("x"):
            with pytest.raises(keystile.Held) as caught:
                store.claim("crewai/locks/x")
            store.reclaim("crewai/locks/x", caught.value.owner.epoch, live=True)
        with lock("x"):  # it is anybody's again
            pass


def test_who_lost_the_lock_is_told_also_if_a_renewal_was_refused_first(store, use):
    use(KeystileLockBackend(store, lease=2))
    with pytest.raises(keystile.Fenced), lock("x"):
        with pytest.raises(keystile.Held) as caught:
            store.claim("crewai/locks/x")
        store.reclaim("crewai/locks/x", caught.value.owner.epoch, live=True)
        while any(thread.name == "keystile-lock" for thread in threading.enumerate()):
            time.sleep(0.01)
    with pytest.raises(ZeroDivisionError), lock("x"):
        raise ZeroDivisionError


def lock_in_child(told):
    def run():
        with lock("x", timeout=0):
            return "locked"

    told.put(told_of(run))


def test_a_forked_child_opens_its_own(store, use):
    use(KeystileLockBackend(store))
    fork = multiprocessing.get_context("fork")
    told = fork.Queue()
    process = fork.Process(target=lock_in_child, args=(told,), daemon=True)
    process.start()
    assert told.get(timeout=60) == "locked"
    process.join()


# ---- Processes ----


def test_processes_lose_nothing_under_the_lock(store, url, processes, tmp_path):
    file = tmp_path / "number"
    file.write_text("0")
    started = [processes.Process(target=add_under_lock, args=(url, str(file), 25), daemon=True) for _ in range(4)]
    for process in started:
        process.start()
    for process in started:
        process.join()
    assert not any(process.exitcode for process in started)
    assert file.read_text() == "100"


@contextlib.contextmanager
def holder(processes, url, lease):
    ready, wake, told = processes.Event(), processes.Event(), processes.Queue()
    process = processes.Process(target=hold, args=(url, lease, ready, wake, told), daemon=True)
    process.start()
    try:
        assert ready.wait(60)
        yield process, wake, told
    finally:
        process.kill()  # it may stand still, if the test has failed
        process.join()


@pytest.mark.parametrize("lease", [None, 60])
def test_the_lock_of_a_killed_process_is_free(store, url, use, processes, lease):
    use(KeystileLockBackend(store))
    with holder(processes, url, lease) as (process, _, _):
        with pytest.raises(LockException), lock("file", timeout=0):
            pass
        process.kill()
        process.join()
        with lock("file", timeout=5):
            pass


def test_a_process_that_stands_still_keeps_its_lock(store, url, use, processes):
    use(KeystileLockBackend(store))
    with holder(processes, url, None) as (process, wake, told):
        freeze(process)
        with pytest.raises(LockException), lock("file", timeout=0.3):
            pass
        thaw(process)
        wake.set()
        assert told.get(timeout=60) == "released"


def test_a_process_that_stands_still_for_longer_than_its_lease_loses_it(store, url, use, processes):
    use(KeystileLockBackend(store))
    with holder(processes, url, 0.3) as (process, wake, told):
        freeze(process)
        with lock("file", timeout=60):
            pass
        thaw(process)
        wake.set()
        assert told.get(timeout=60) == "Fenced"
