"""Several processes: nothing is lost, a killed worker's claim is taken, a stopped one that wakes up is fenced."""

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time

import pytest

import keystile

PROCESSES, INCREMENTS = 4, 20_000  # long enough that they meet


def increment(old):
    return b"%d" % (int(old or 0) + 1)


def start(code, *arguments):
    """A Python of its own, which runs this code; it says "ready" by a line."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def expect(process, line):
    assert process.stdout.readline().strip() == line


COUNT = """
import sys, keystile
with keystile.open(sys.argv[1]) as store:
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(int(sys.argv[2])):
        while True:
            value, stamp = store.get("count")
            try:
                store.commit("count", b"%d" % (int(value or 0) + 1), stamp)
                break
            except keystile.Conflict:
                pass
"""


def test_processes_that_increment_lose_nothing(store, url):
    workers = [start(COUNT, url, str(INCREMENTS)) for _ in range(PROCESSES)]
    for worker in workers:
        expect(worker, "ready")
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    assert [worker.wait() for worker in workers] == [0] * PROCESSES
    assert int(store.get("count").value) == PROCESSES * INCREMENTS
    assert store.check().problems == []


HOLD = """
import os, signal, sys, keystile
store = keystile.open(sys.argv[1])
grant = store.claim("plan", lease=float(sys.argv[2]) or None)
print("ready", flush=True)
sys.stdin.readline()
try:
    grant.commit(b"zombie")
    print("committed", flush=True)
except keystile.Fenced as fenced:
    print("fenced", fenced.epoch, flush=True)
"""


def test_a_stopped_worker_that_wakes_up_late_is_fenced(store, url):
    zombie = start(HOLD, url, "0.2")
    expect(zombie, "ready")
    zombie.send_signal(signal.SIGSTOP)
    with store.claim("plan", wait=None) as grant:  # when the lease is over
        grant.commit(b"successor")
    zombie.send_signal(signal.SIGCONT)
    zombie.stdin.write("go\n")
    zombie.stdin.flush()
    said = zombie.stdout.readline().split()
    assert said[0] == "fenced"
    assert int(said[1]) == store.get("plan").stamp.epoch
    assert zombie.wait() == 0
    assert store.get("plan").value == b"successor"


def test_a_killed_workers_claim_is_taken(store, url):
    worker = start(HOLD, url, "0")
    expect(worker, "ready")
    with pytest.raises(keystile.Held):
        store.claim("plan")
    worker.kill()
    worker.wait()
    store.claim("plan", wait=None).release()
    assert store.update("plan", increment).value == b"1"


def test_processes_that_are_killed_lose_and_spoil_nothing(store, url):
    for _ in range(5):
        workers = [start(COUNT, url, "100000000") for _ in range(2)]
        for worker in workers:
            expect(worker, "ready")
            worker.stdin.write("go\n")
            worker.stdin.flush()
        seen = store.get("count").stamp
        for _ in range(3):
            seen = store.watch("count", seen)
        before = int(store.get("count").value)
        for worker in workers:
            worker.kill()
            worker.wait()
        assert int(store.get("count").value) >= before
        assert store.check().problems == []
    count = int(store.get("count").value)
    assert store.update("count", increment).value == b"%d" % (count + 1)


def test_a_forked_child_is_told_and_opens_again(store, url):
    stamp = store.commit("k", b"parent", keystile.NEVER)
    grant = store.claim("claimed")
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            for call in (
                lambda: store.get("k"),
                lambda: store.commit("k", b"child", stamp),
                lambda: store.claim("k"),
                lambda: store.list(),
                lambda: store.snapshot(),
                lambda: store.stats(),
                lambda: store.flush(),
                lambda: grant.commit(b"child"),
            ):
                with pytest.raises(keystile.ForkedError):
                    call()
            again = keystile.open(url)
            assert again.get("k").value == b"parent"
            again.commit("k", b"child", stamp)
            mine = keystile.shared(url)
            assert mine is keystile.shared(url)
            mine.update("n", increment)
            store.close()
            del grant
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert store.get("k").value == b"child"
    assert store.get("n").value == b"1"
    grant.commit(b"still the parent's")


def test_fork_while_a_thread_waits(store, url):
    waiter = threading.Thread(target=lambda: store.watch("k", timeout=5))
    waiter.start()
    time.sleep(0.02)  # to be inside, most probably; the test holds either way
    pid = os.fork()
    if pid == 0:
        store.close()
        code = 0 if keystile.open(url).get("k").value is None else 1
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    store.update("k", increment)
    waiter.join()


def work(store, times):
    for _ in range(times):
        store.update("count", increment)
    return os.getpid(), len({participant.pid for participant in store.participants()})


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing_passes_a_store(store, method):
    context = multiprocessing.get_context(method)
    with context.Pool(2) as pool:
        told = pool.starmap(work, [(store, 50)] * 6)
    assert int(store.get("count").value) == 300
    assert os.getpid() not in {pid for pid, _ in told}
    assert all(participants <= 3 for _, participants in told)  # an opening for a process, not for a call


def test_a_store_pickles_as_its_opening(store, url):
    again = pickle.loads(pickle.dumps(store))
    assert again is not store
    assert again.url == url
    assert again is pickle.loads(pickle.dumps(store))
    again.commit("k", b"v", keystile.NEVER)
    assert store.get("k").value == b"v"


INTERRUPTED = """
import signal, sys, keystile
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started the tests may ignore it
store = keystile.open(sys.argv[1])
print("ready", flush=True)
try:
    getattr(store, sys.argv[2])("held") if sys.argv[2] == "watch" else store.claim("held", wait=None)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.parametrize("call", ["watch", "claim"])
def test_a_wait_without_end_is_interrupted_by_control_c(store, url, call):
    grant = store.claim("held")
    worker = start(INTERRUPTED, url, call)
    expect(worker, "ready")
    if call == "claim":
        while store.stats().total.held < 2:  # it waits
            os.sched_yield()
    else:
        while len([one for one in store.participants() if one.sessions]) < 2:
            os.sched_yield()
    worker.send_signal(signal.SIGINT)
    expect(worker, "interrupted")
    worker.wait()
    grant.release()
