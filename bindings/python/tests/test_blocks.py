"""Who is inside of a claim's block, or of a gate's effect, does not wait for its end."""

import asyncio
import threading

import pytest

import keystile

TIMEOUT = 0.5  # of a loop that waits wrongly, and calls its function a few times meanwhile


@pytest.fixture
def files(store, tmp_path):
    with keystile.Files(tmp_path, store=store.url) as opened:
        yield opened


class Tries:
    """A loop's function; the loop must give up after one call."""

    def __init__(self):
        self.count = 0

    def __call__(self, given):
        self.count += 1
        if isinstance(given, keystile.Transaction):
            given.put("k", b"")
        return b""


def loops_of(store, function):
    return [
        lambda: store.update("k", function, timeout=TIMEOUT),
        lambda: store.update(b"k", function, timeout=TIMEOUT),
        lambda: store.transact(function, timeout=TIMEOUT),
        lambda: asyncio.run(store.aupdate("k", function, timeout=TIMEOUT)),
        lambda: asyncio.run(store.atransact(function, timeout=TIMEOUT)),
    ]


@pytest.mark.parametrize("loop", range(5))
@pytest.mark.parametrize("lease", [None, 60])
def test_a_loop_in_a_claims_own_block_is_told_held_at_once(store, loop, lease):
    tries = Tries()
    with store.claim("k", lease=lease):
        with pytest.raises(keystile.Held):
            loops_of(store, tries)[loop]()
        assert tries.count == 1
    assert store.update("k", tries).value == b""


def test_a_claim_in_its_own_block_does_not_wait_without_end(store, files):
    for holder in (store, files):
        with holder.claim("k") as grant:
            release = threading.Timer(10, grant.release)
            release.start()
            with pytest.raises(keystile.Held):
                holder.claim("k", wait=None)
            with pytest.raises(keystile.Held):
                asyncio.run(holder.aclaim("k", wait=None).__aenter__())
            release.cancel()
            holder.claim("another", wait=None).release()


def test_files_in_their_own_block(files):
    for loop in (files.update, lambda *given, **named: asyncio.run(files.aupdate(*given, **named))):
        tries = Tries()
        with files.claim("./k"):
            with pytest.raises(keystile.Held) as caught:
                loop("k", tries, timeout=TIMEOUT)
            assert caught.value.key == "k"
            assert tries.count == 1
        loop("k", tries)


def test_a_tasks_own_claim_and_another_ones(store):
    async def hold(is_held):
        async with store.aclaim("k"):
            with pytest.raises(keystile.Held):
                await store.aupdate("k", tries, timeout=TIMEOUT)
            assert tries.count == 1
            is_held.set()
            await asyncio.sleep(0.02)

    async def main():
        is_held = asyncio.Event()
        holding = asyncio.create_task(hold(is_held))
        await is_held.wait()
        await store.aupdate("k", tries)  # that ends, so it is waited for
        await holding

    tries = Tries()
    asyncio.run(main())
    assert store.get("k").value == b""


def test_what_others_may_end_is_waited_for(store):
    is_held = threading.Event()

    def hold():
        with store.claim("k"):
            is_held.set()
            threading.Event().wait(0.02)

    thread = threading.Thread(target=hold)
    thread.start()
    is_held.wait()
    store.update("k", lambda old: b"after another thread's block")
    thread.join()
    with store.claim("k", lease=60, detached=True) as grant:
        elsewhere = store.grant("k", grant.token())
        threading.Timer(0.02, elsewhere.release).start()
        store.update("k", lambda old: b"after whoever had the token")
        grant.keep()
    grant = store.claim("k")
    threading.Timer(0.02, grant.release).start()
    store.update("k", lambda old: b"after another thread released it")


def test_a_block_that_another_thread_left_is_forgotten(store):
    grant = store.claim("k")
    grant.__enter__()
    thread = threading.Thread(target=grant.__exit__, args=(None, None, None))
    thread.start()
    thread.join()
    with store.claim("another"):
        assert len(keystile._blocks.entered()) == 1
    assert keystile._blocks.entered() == []


def test_a_gates_effect_does_not_wait_for_its_gate(files):
    def effect():
        with pytest.raises(keystile.SessionBusyError):
            files.close()
        with pytest.raises(keystile.Held):
            files.update("a", tries, timeout=TIMEOUT)
        assert tries.count == 1
        with pytest.raises(keystile.Held):
            files.store.update(files.key("a"), tries, timeout=TIMEOUT)
        assert tries.count == 2
        return files.update("b", lambda old: b"of no gate").value

    tries = Tries()
    stamp = files.write("a", b"1", keystile.NEVER)
    assert files.gate({"./a": stamp}, effect) == b"of no gate"
    assert files.update("a", lambda old: b"2").value == b"2"


def test_a_block_of_what_is_closed_is_not_entered(store, files):
    store.close()
    with pytest.raises(keystile.ClosedError), store:
        pass
    files.close()
    with pytest.raises(keystile.ClosedError), files:
        pass
