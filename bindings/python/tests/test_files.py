"""Plain files: nobody overwrites what he has not seen, and foreign edits are seen."""

import asyncio
import os
import pathlib
import pickle
import resource
import signal
import subprocess
import sys
import threading

import pytest

import keystile

PROCESSES, LINES = 4, 25


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    folder.mkdir()
    yield folder
    try:
        keystile.destroy(f"file:{folder}/.keystile", force=True)
    except keystile.NoStoreError:
        pass


@pytest.fixture
def files(root):
    with keystile.Files(root) as opened:
        yield opened


def start(code, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def expect(process, line):
    assert process.stdout.readline().strip() == line


def go(process):
    process.stdin.write("go\n")
    process.stdin.flush()


def test_a_file_is_written_from_what_was_read(files, root):
    data, stamp = files.read("plan.md")
    assert data is None
    written = files.write("plan.md", b"first", stamp)
    assert (root / "plan.md").read_bytes() == b"first"
    assert files.read("plan.md") == keystile.Entry(b"first", written)
    with pytest.raises(keystile.Conflict) as caught:
        files.write("plan.md", b"late", stamp)
    assert caught.value.stamp == written
    assert (root / "plan.md").read_bytes() == b"first"


@pytest.mark.parametrize("data", [b"", b"\0\xff", b"x" * 4096, b"x" * 4097, b"x" * (16 * 2**20 - 64)])
def test_contents_of_any_kind_and_size(files, root, data):
    files.write("deep/er/file", data, keystile.NEVER)
    assert files.read("deep//er/./file").value == data
    assert (root / "deep/er/file").read_bytes() == data


def test_a_file_that_was_there_is_adopted_by_reading(files, root):
    (root / "old.txt").write_bytes(b"old")
    data, stamp = files.read("old.txt")
    assert data == b"old"
    files.write(pathlib.PurePath("old.txt"), b"new", stamp)
    assert (root / "old.txt").read_bytes() == b"new"


def test_removing_and_renaming(files, root):
    stamp = files.write("a", b"1", keystile.NEVER)
    files.rename("a", stamp, "b")
    there = files.write("there", b"", keystile.NEVER)
    with pytest.raises(keystile.Conflict) as caught:
        files.rename("b", files.read("b").stamp, "there")
    assert (caught.value.key, caught.value.stamp) == ("there", there)
    with pytest.raises(keystile.Conflict) as caught:
        files.rename("b", there, "c")
    assert caught.value.key == "b"
    with pytest.raises(keystile.Timeout, match="'there'"):
        files.watch("there", timeout=0)
    files.remove("there", there)
    assert not (root / "a").exists()
    data, stamp = files.read("b")
    assert data == b"1"
    removed = files.remove("b", stamp)
    assert not (root / "b").exists()
    assert files.read("b") == keystile.Entry(None, removed)
    with pytest.raises(keystile.Conflict):
        files.write("b", b"late", stamp)
    with pytest.raises(keystile.NotFound):
        files.rename("none", keystile.NEVER, "c")


def test_a_foreign_edit_is_seen_and_somebody_decides(files, root):
    stamp = files.write("plan.md", b"ours", keystile.NEVER)
    (root / "plan.md").write_bytes(b"theirs")
    for call in (lambda: files.read("plan.md"), lambda: files.write("plan.md", b"over", stamp)):
        with pytest.raises(keystile.ForeignEdit) as caught:
            call()
        assert caught.value.stamp == stamp
        assert isinstance(caught.value, RuntimeError)
    assert (root / "plan.md").read_bytes() == b"theirs"
    assert files.status()[0].state == "edited"
    with pytest.raises(keystile.NotFound):
        files.adopt("typo.md")
    adopted = files.adopt("plan.md")
    assert files.read("plan.md") == keystile.Entry(b"theirs", adopted)
    (root / "plan.md").unlink()
    assert files.status()[0].state == "missing"
    files.restore("plan.md")
    assert (root / "plan.md").read_bytes() == b"theirs"
    with pytest.raises(keystile.NotFound):
        files.restore("none")


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../out", "a/../../out", ".keystile/x", "link/x", "folder"])
def test_paths_never_leave_the_root(files, root, path):
    (root / "link").symlink_to("/tmp")
    (root / "folder").mkdir()
    with pytest.raises(keystile.PathError):
        files.write(path, b"x", keystile.NEVER)
    with pytest.raises(keystile.PathError):
        files.read(path)


def test_mistakes_are_told(files):
    url, grant = files.store.url, files.claim("b")
    for call, error, *says in (
        (lambda: files.read(b"bytes"), TypeError, "os.fsdecode"),
        (lambda: keystile.Files(b"/tmp"), TypeError, "os.fsdecode"),
        (lambda: files.read(3), TypeError, "a path is str"),
        (lambda: files.read("a\0b"), ValueError, "zero byte"),
        (lambda: files.rename("a", keystile.NEVER, "\udcff\0b"), ValueError, "zero byte"),
        (lambda: keystile.Files(files.root, store=url + "\0x"), keystile.UrlError, "zero byte"),
        (lambda: keystile.Files(files.root, label="a\0b"), keystile.ArgumentError, "label"),
        (lambda: keystile.Files(files.root, label=5), TypeError, "label is str"),
        (lambda: files.grant("a", "token\0x"), keystile.GrantError, "zero byte"),
        (lambda: files.restore("none"), keystile.NotFound, "'none'"),
        (lambda: files.rename("none", keystile.NEVER, "a"), keystile.NotFound, "'none'"),
        (lambda: files.gate({"a": keystile.NEVER}, 5), TypeError, "called"),
        (lambda: files.gate({"a": keystile.NEVER, "./a": keystile.NEVER}, list), keystile.ArgumentError),
        (lambda: files.gate({"a": keystile.NEVER}, list, claims={"b": grant}), ValueError, "'b'"),
        (lambda: files.publish({"a": b""}, {"b": keystile.NEVER}), ValueError, "stamps of 'b'"),
        (lambda: files.publish({"a": b""}, claims={"b": grant}), ValueError, "claims of 'b'"),
        (lambda: files.publish({"a": b""}, {"a": keystile.NEVER, "./a": keystile.NEVER}), ValueError, "spelling"),
        (lambda: files.write("a", "text", keystile.NEVER), TypeError),
        (lambda: files.write("a", b"x", None), TypeError),
        (lambda: files.write("a", b"x", keystile.NEVER, claim="c"), TypeError),
        (lambda: files.write("a", bytes(16 * 2**20), keystile.NEVER), keystile.ValueSizeError),
        (lambda: files.update("a", lambda old: None), TypeError),
        (lambda: files.publish({}), keystile.ArgumentError),
        (lambda: files.publish({"a": b"1", "./a": b"2"}), keystile.ArgumentError),
        (lambda: files.publish({"a": "text"}), TypeError),
        (lambda: files.grant("a", "no token"), (keystile.GrantError, keystile.NotFound)),
        (lambda: keystile.Files("/no/such/folder"), keystile.PathError),
    ):
        with pytest.raises(error) as caught:
            call()
        assert all(what in str(caught.value) for what in says)
    assert files.status() == []
    assert not grant.is_over


def test_what_an_update_s_function_raises_goes_to_its_caller(files):
    calls = []

    def mine(old):
        calls.append(old)
        raise keystile.Conflict("another", keystile.NEVER)

    with pytest.raises(keystile.Conflict):
        files.update("a", mine, timeout=0.2)
    assert calls == [None]


def test_a_path_may_be_spelled_in_many_ways(files, root):
    path, dotted = pathlib.PurePath("d/a"), "./d//a"
    files.publish({path: b"1"})
    stamp = files.read(path).stamp
    files.publish({"d/a": b"2"}, {dotted: stamp})
    files.publish({dotted: b"3"}, {path: files.read(path).stamp})
    with files.claim("d/a") as grant:
        files.publish({path: b"4"}, {"d/a": grant.read().stamp}, claims={dotted: grant})
        assert files.gate({dotted: grant.read().stamp}, lambda: "ran", claims={path: grant}) == "ran"
    with pytest.raises(keystile.Conflict) as caught:
        files.publish({dotted: b"late"}, {path: stamp})
    assert caught.value.key == dotted
    assert (root / path).read_bytes() == b"4"


def test_publish_is_all_or_none(files, root):
    files.publish({"a": b"1", "b": b"2", "c/d": b"3"})
    stamps = {name: files.read(name).stamp for name in ("a", "b", "c/d")}
    files.update("b", lambda old: b"moved")
    with pytest.raises(keystile.Conflict) as caught:
        files.publish({"a": b"x", "b": b"y", "c/d": keystile.DELETE}, stamps)
    assert caught.value.key == "b"
    assert [key for key, *_ in caught.value.refusals] == [b"b"]
    assert (root / "a").read_bytes() == b"1"
    stamps["b"] = files.read("b").stamp
    files.publish({"a": b"x", "b": keystile.KEEP, "c/d": keystile.DELETE}, stamps)
    assert (root / "a").read_bytes() == b"x"
    assert (root / "b").read_bytes() == b"moved"
    assert not (root / "c/d").exists()


def test_claims_keep_others_out_and_who_lost_one_is_fenced(files, root):
    with files.claim("plan.md", lease=60) as grant:
        with pytest.raises(keystile.Held):
            files.write("plan.md", b"other", files.read("plan.md").stamp)
        with pytest.raises(keystile.Held):
            files.claim("plan.md", wait=0.06)
        grant.read()
        grant.write(b"mine")
    assert (root / "plan.md").read_bytes() == b"mine"
    lost = files.claim("plan.md", lease=0.001)
    new = files.claim("plan.md", wait=None)
    with pytest.raises(keystile.Fenced):
        lost.write(b"zombie")
    assert lost.is_over
    new.remove()
    new.release()
    assert not (root / "plan.md").exists()
    detached = files.claim("plan.md", lease=60, detached=True)
    taken = files.grant("plan.md", detached.token())
    taken.write(b"by token")
    taken.release()
    assert (root / "plan.md").read_bytes() == b"by token"


def test_a_gate_runs_its_effect_only_if_all_still_holds(files):
    stamp = files.write("plan", b"go", keystile.NEVER)
    ran = []

    def effect():
        with pytest.raises(keystile.Held):  # nobody changes it meanwhile
            files.write("plan", b"stop", files.read("plan").stamp)
        ran.append(1)
        return "done"

    assert files.gate({"plan": stamp}, effect) == "done"
    files.update("plan", lambda old: b"stop")
    with pytest.raises(keystile.KeystileError):
        files.gate({"plan": stamp}, effect)
    assert ran == [1]
    with pytest.raises(ZeroDivisionError):
        files.gate({"plan": files.read("plan").stamp}, lambda: 1 / 0)
    files.update("plan", lambda old: b"free again")


def test_status_names_every_file(files, root):
    files.write("a", b"1", keystile.NEVER)
    files.remove("a", files.read("a").stamp)
    files.write("b", b"22", keystile.NEVER)
    (root / "u").write_bytes(b"333")
    files.claim("b", lease=60).keep()
    assert [one.path for one in files.status()] == ["b"]
    every = {one.path: one for one in files.status(all=True)}
    assert {path: one.state for path, one in every.items()} == {"a": "deleted", "b": "clean", "u": "untracked"}
    assert every["b"].size == 2
    assert len(every["b"].hash) == 16
    assert every["b"].owner is not None


APPEND = """
import sys, keystile
with keystile.Files(sys.argv[1]) as files:
    print("ready", flush=True)
    sys.stdin.readline()
    for i in range(int(sys.argv[3])):
        files.update("log", lambda old: (old or b"") + f"{sys.argv[2]} {i}\\n".encode())
"""


def test_processes_that_append_lose_no_line(files, root):
    workers = [start(APPEND, root, name, LINES) for name in range(PROCESSES)]
    for worker in workers:
        expect(worker, "ready")
    for worker in workers:
        go(worker)
    assert [worker.wait() for worker in workers] == [0] * PROCESSES
    lines = (root / "log").read_text().splitlines()
    assert sorted(lines) == sorted(f"{name} {i}" for name in range(PROCESSES) for i in range(LINES))


def test_killed_writers_leave_no_torn_file(files, root):
    for name in range(3):
        worker = start(APPEND, root, name, 10**9)
        expect(worker, "ready")
        go(worker)
        seen = files.store.watch(files.key("log"))
        files.watch("log", seen)
        worker.kill()
        worker.wait()
        content = files.read("log").value
        assert (root / "log").read_bytes() == content
        assert all(line.count(" ") == 1 for line in content.decode().splitlines())
        assert content.endswith(b"\n")
    assert not [name for name in os.listdir(root) if name not in ("log", ".keystile")]


ZOMBIE = """
import sys, keystile
files = keystile.Files(sys.argv[1])
grant = files.claim("plan", lease=0.2)
print("ready", flush=True)
sys.stdin.readline()
try:
    grant.write(b"zombie")
except keystile.Fenced:
    print("fenced", flush=True)
"""


def test_a_stopped_writer_that_wakes_up_late_leaves_no_byte(files, root):
    zombie = start(ZOMBIE, root)
    expect(zombie, "ready")
    zombie.send_signal(signal.SIGSTOP)
    with files.claim("plan", wait=None) as grant:
        grant.write(b"successor")
    zombie.send_signal(signal.SIGCONT)
    go(zombie)
    expect(zombie, "fenced")
    zombie.wait()
    assert (root / "plan").read_bytes() == b"successor"


def test_threads_fork_and_pickle(files, root):
    def work():
        for _ in range(10):
            files.update("n", lambda old: b"%d" % (int(old or 0) + 1))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (root / "n").read_bytes() == b"30"
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            with pytest.raises(keystile.ForkedError):
                files.read("n")
            again = keystile.Files(root)
            again.update("n", lambda old: b"child")
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert files.read("n").value == b"child"
    with pickle.loads(pickle.dumps(files)) as again:
        assert again.read("n") == files.read("n")


def test_asyncio(files, root):
    async def main():
        stamp = await files.awrite("a", b"1", keystile.NEVER)
        watching = asyncio.create_task(files.awatch("a", stamp))

        async def think(old):
            await asyncio.sleep(0)
            return old + b"2"

        await files.aupdate("a", think)
        assert await watching == (await files.aread("a")).stamp
        await files.apublish({"b": b"3"})
        async with files.aclaim("a", lease=60) as grant:
            grant.write(b"claimed")
            with pytest.raises(keystile.Held):
                await files.aclaim("a", wait=0.02)
            with pytest.raises(keystile.Held):
                await files.aupdate("a", think, timeout=0.02)
        await files.aupdate("a", think)
        await files.aremove("a", (await files.aread("a")).stamp)

    asyncio.run(main())
    assert not (root / "a").exists()


def test_closed_files_say_so(files):
    store = files.store
    assert store.list() == []
    files.close()
    files.close()
    for call in (lambda: files.read("a"), lambda: files.status(), lambda: store.list(), lambda: files.store.get("a")):
        with pytest.raises(keystile.ClosedError):
            call()


def test_a_token_s_holder_settles_a_foreign_edit(files, root):
    stamp = files.write("plan", b"ours", keystile.NEVER)
    detached = files.claim("plan", lease=60, detached=True)
    (root / "plan").write_bytes(b"theirs")
    with keystile.Files(root) as other:
        taken = other.grant("plan", detached.token())  # of the store: whatever is on disk
        assert (taken.stamp.version, taken.epoch) == (stamp.version, detached.epoch)
        with pytest.raises(keystile.ForeignEdit):
            taken.write(b"over it")
        adopted = other.adopt("plan", claim=taken)
        assert taken.read() == keystile.Entry(b"theirs", adopted)
        taken.write(b"both")
        taken.release()
    assert (root / "plan").read_bytes() == b"both"
    new = files.claim("new", lease=60, detached=True)
    assert files.grant("new", new.token()).epoch == new.epoch


def test_a_claim_s_holder_renames(files, root):
    stamp = files.write("a", b"1", keystile.NEVER)
    (root / "a").chmod(0o640)
    with files.claim("a", lease=60) as old, files.claim("b", lease=60) as new:
        for claims in ({}, {"claim": old}, {"to_claim": new}):
            with pytest.raises(keystile.Held):
                files.rename("a", stamp, "b", **claims)
        with pytest.raises(keystile.GrantError):
            files.rename("a", stamp, "b", claim=new, to_claim=old)
        files.rename("a", stamp, "b", claim=old, to_claim=new)
    assert not (root / "a").exists()
    assert (root / "b").read_bytes() == b"1"
    assert (root / "b").stat().st_mode & 0o777 == 0o640


class Interrupted(Exception):
    pass


def test_a_claim_goes_on_from_whatever_was_written_under_it(files, root):
    with files.claim("a") as a, files.claim("b") as b:
        files.publish({"./a": b"1", "b": b"1"}, {"a": a.stamp, "b": b.stamp}, claims={"a": a, "b": b})
        a.write(b"2")
        files.publish({"b": keystile.DELETE}, {"b": b.stamp}, claims={"b": b})
        b.write(b"3")
        assert files.write("a", b"4", a.stamp, claim=a) == a.stamp
        a.write(b"5")
        assert files.remove("a", a.stamp, claim=a) == a.stamp
        a.write(b"6")
        (root / "a").write_bytes(b"foreign")
        assert files.adopt("a", claim=a) == a.stamp
        a.write(b"7")
        assert files.rename("b", b.stamp, "a", a.stamp, claim=b, to_claim=a) == a.stamp
        a.write(b"8")
    assert (root / "a").read_bytes() == b"8" and not (root / "b").exists()


def test_an_interrupted_claim_is_left_with_nobody(files, root):
    """The claim is won in the very slice of the waiting in which a signal's handler raises."""

    def interrupt(*of_what):
        raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with keystile.Files(root) as other:
            held = other.claim("p")

            def release():
                signal.pthread_kill(threading.main_thread().ident, signal.SIGALRM)
                held.release()

            timer = threading.Timer(0.02, release)
            with pytest.raises(Interrupted):
                timer.start()
                files.claim("p", wait=60)
            timer.join()
            other.claim("p").release()
    finally:
        signal.signal(signal.SIGALRM, before)


def small_disk(size):
    """No file grows beyond this; returns what ends it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_publish_that_is_committed_and_not_on_disk_says_so(files):
    stamps = {name: files.write(name, b"1", keystile.NEVER) for name in ("a", "b")}
    end = small_disk(200_000)
    try:
        with pytest.raises(keystile.Fault) as caught:
            files.publish({"a": keystile.KEEP, "b": b"x" * 300_000}, stamps)
    finally:
        end()
    seen = files.read("b")
    assert len(seen.value) == 300_000
    assert caught.value.committed == seen.stamp
    with pytest.raises(keystile.Fault) as caught:
        files.publish({"a": b"2", "no/such": b"3", "b/folder": b"4"}, {"a": stamps["a"]})
    assert caught.value.committed is None
    assert files.read("a").stamp == stamps["a"]


def test_a_gate_whose_claims_cannot_be_given_back_says_that_it_ran(files):
    stamp = files.write("plan", b"go", keystile.NEVER)
    with pytest.raises(keystile.Fault) as caught:
        files.gate({"../plan": stamp}, list)
    assert not caught.value.has_run
    with pytest.raises(keystile.Fault) as caught:  # an effect's own exception is its own
        files.gate({"plan": stamp}, lambda: files.gate({"../plan": stamp}, list))
    assert not caught.value.has_run
    stamp = files.read("plan").stamp
    with pytest.raises(keystile.DestroyedError) as caught:
        files.gate({"plan": stamp}, lambda: keystile.destroy(files.store.url, force=True))
    assert caught.value.has_run


def test_the_store_behind_files_is_durable_in_every_call(files):
    store = files.store
    assert store.is_durable
    grant = store.claim("claimed")
    for number in range(10):
        value = b"%d" % number
        stamps = [store.update("updated", lambda old, value=value: value).stamp, grant.commit(value)]
        store.transact(lambda tx, value=value: tx.put("moved", value))
        for stamp in [*stamps, store.get("moved").stamp]:
            store.wait_durable(stamp, timeout=0)  # raises Timeout
    grant.release()
