"""What a worker does while another one deletes, copies, prunes, or has not come to its checkpoint yet."""

import threading

import pytest
from graphs import CONFIG, address, graph_of, once, step, values
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.types import Command, interrupt

import keystile
from keystile.langgraph import KeystileSaver


def test_a_thread_that_is_begun_anew_is_not_swept_with_the_old_one(store, monkeypatch):
    saver, other, new = KeystileSaver(store), KeystileSaver(store), []
    step(saver)
    once(monkeypatch, "list", lambda: new.append(step(other, value="new")))
    saver.delete_thread("t")
    assert values(saver, CONFIG) == {"x": "new"}
    step(other, new[0])


def test_a_copy_is_whole_also_if_somebody_deletes_its_target(store, monkeypatch):
    saver, other = KeystileSaver(store), KeystileSaver(store)
    step(saver)
    once(monkeypatch, "transaction", lambda: other.delete_thread("copy"))
    saver.copy_thread("t", "copy")
    assert values(saver, address("copy")) == {"x": "a"}
    saver.delete_thread("copy")
    saver.delete_thread("t")
    assert store.list() == []


def test_a_copy_that_is_made_while_it_is_swept_stays(store, monkeypatch):
    saver, key = KeystileSaver(store), "langgraph/checkpoints/copy"
    step(saver)
    saver.copy_thread("t", "copy")
    life = store.get(key).value
    mark = f"{key}/{life.decode()}/copy"
    with store.transaction() as tx:  # back to where it is not the thread's yet
        tx.delete(key)
        tx.put(mark, b"is made")

    def end():
        with store.transaction() as tx:
            tx.delete(mark)
            tx.put(key, life)

    once(monkeypatch, "try_delete", end)
    saver.delete_thread("copy")
    assert values(saver, address("copy")) == {"x": "a"}


def test_a_copy_that_a_crash_has_cut_off_goes_with_the_next_deletion(store):
    saver = KeystileSaver(store)
    for part in ("copy", "/tip", "/blob/x/1"):
        store.update(f"langgraph/checkpoints/t/0123456789ab/{part}", lambda _: b"staged")
    step(saver)
    saver.delete_thread("other")
    assert len(store.list()) == 7
    saver.delete_thread("t")
    assert store.list() == []


def test_a_reader_beside_prune_sees_a_whole_checkpoint(store, monkeypatch):
    saver, other = KeystileSaver(store), KeystileSaver(store)
    first = step(saver, value="one")

    def go_on_and_prune():
        step(other, first, "two", "2")
        other.prune(["t"])

    once(monkeypatch, "get_many", go_on_and_prune)
    assert values(saver, CONFIG) == {"x": "two"}


def test_a_reader_beside_a_deletion_sees_a_whole_checkpoint_or_none(store, monkeypatch):
    saver, other = KeystileSaver(store), KeystileSaver(store)
    step(saver)
    blob = next(listed for listed in store.list() if "/blob/" in listed.key)

    def begin_to_delete():  # and it has come to the value, not yet to the record
        store.delete("langgraph/checkpoints/t", store.get("langgraph/checkpoints/t").stamp)
        store.delete(blob.key, blob.stamp)

    once(monkeypatch, "get_many", begin_to_delete)
    assert saver.get_tuple(CONFIG) is None
    assert list(other.list(CONFIG)) == []


def test_prune_leaves_what_begins_beside_it(store, monkeypatch):
    saver, other = KeystileSaver(store), KeystileSaver(store)
    step(saver, step(saver), version="2")
    nested = address(ns="nested:1")
    once(monkeypatch, "snapshot", lambda: step(other, nested, "nested"), is_before=False)
    saver.prune(["t"])
    assert values(saver, nested) == {"x": "nested"}
    assert [one.config["configurable"]["checkpoint_ns"] for one in saver.list(CONFIG)] == ["", "nested:1"]


def test_prune_leaves_what_goes_on_beside_it(store, monkeypatch):
    saver, other, last = KeystileSaver(store), KeystileSaver(store), []
    second = step(saver, step(saver, value="one"), "two", "2")
    once(monkeypatch, "snapshot", lambda: last.append(step(other, second, "two", "2", {})), is_before=False)
    saver.prune(["t"])
    assert [one.config for one in saver.list(CONFIG)] == last
    assert values(saver, CONFIG) == {"x": "two"}


def test_prune_of_more_than_one_commit_holds(store):
    saver, at = KeystileSaver(store), None
    for number in range(keystile.MULTI_KEYS_MAX + 2):
        at = step(saver, at, number, str(number))
    saver.prune(["t"])
    assert values(saver, CONFIG) == {"x": number}
    assert len(store.list()) == 4  # the thread, its tip, a record and a value


def test_a_fork_of_what_was_pruned_meanwhile_has_its_values(store):
    saver, other = KeystileSaver(store), KeystileSaver(store)
    first = step(saver, value="one")
    step(saver, first, "two", "2")
    other.prune(["t"])
    fork = step(saver, first, "one", "1", {}, source="update")  # had read it before
    assert values(saver, fork) == {"x": "one"}


def test_prune_leaves_the_values_that_a_fork_puts_beside_it(store, monkeypatch):
    saver, other, fork = KeystileSaver(store), KeystileSaver(store), []
    first = step(saver, step(saver, version="0"), value="one")
    step(saver, first, "two", "2")
    once(monkeypatch, "try_delete", lambda: fork.append(step(other, first, "one", "1", {}, source="update")))
    saver.prune(["t"])
    assert values(saver, fork[0]) == {"x": "one"}


def test_a_fork_whose_delta_channels_are_gone_is_refused(store):
    saver, other = KeystileSaver(store), KeystileSaver(store)
    first = step(saver)
    step(saver, first, version="2")
    other.prune(["t"])
    with pytest.raises(keystile.Conflict):
        step(saver, first, version="3", source="update", counters_since_delta_snapshot={"log": (1, 1)})


def test_the_same_put_again_is_the_same(store):
    saver = KeystileSaver(store)
    first = step(saver)
    checkpoint = empty_checkpoint()
    second = (first, checkpoint, {"source": "loop", "step": 1}, {})
    assert saver.put(*second) == saver.put(*second)
    with pytest.raises(keystile.Conflict):  # another one of that name
        saver.put(first, checkpoint, {"source": "loop", "step": 2}, {})
    assert len(list(saver.list(CONFIG))) == 2


def test_what_tasks_write_before_their_checkpoint_is_put_waits_for_it(store):
    saver = KeystileSaver(store)
    checkpoint = empty_checkpoint()
    config = address(checkpoint_id=checkpoint["id"])
    saver.put_writes(config, [("x", "early")], "task")
    assert store.list() == []
    assert saver.put(address(), checkpoint, {"source": "loop", "step": 0}, {})["configurable"] == config["configurable"]
    saver.put_writes(config, [("x", "late")], "other")
    assert sorted(saver.get_tuple(CONFIG).pending_writes) == [("other", "x", "late"), ("task", "x", "early")]


def test_what_waits_for_checkpoints_that_never_come_is_bounded(store, monkeypatch):
    monkeypatch.setattr("keystile.langgraph._threads.EARLY_MAX", 2)
    saver, checkpoints = KeystileSaver(store), [empty_checkpoint() for _ in range(3)]
    for checkpoint in checkpoints:
        saver.put_writes(address(checkpoint_id=checkpoint["id"]), [("x", "early")], "task")
    for checkpoint in checkpoints:
        saver.put(address(), checkpoint, {"source": "fork", "step": 0}, {})
    found = [saver.get_tuple(address(checkpoint_id=checkpoint["id"])).pending_writes for checkpoint in checkpoints]
    assert found == [[]] + [[("task", "x", "early")]] * 2  # the oldest was given up


def test_an_interrupt_may_come_before_its_checkpoint(store):
    """As it may in the durability mode "async", which is the default: both are put at once."""
    is_written = threading.Event()

    class Late(KeystileSaver):
        def put(self, config, checkpoint, metadata, new_versions):
            if metadata["step"] == 0:
                assert is_written.wait(60)
            return super().put(config, checkpoint, metadata, new_versions)

        def put_writes(self, config, writes, task_id, task_path=""):
            super().put_writes(config, writes, task_id, task_path)
            if any(channel == "__interrupt__" for channel, _ in writes):
                is_written.set()

    graph = graph_of(Late(store), lambda: interrupt("may I?"))
    graph.invoke({"log": ["in"]}, CONFIG, durability="async")
    assert graph.get_state(CONFIG).interrupts[0].value == "may I?"
    assert graph.invoke(Command(resume="yes"), CONFIG)["log"] == ["in", "did"]


def test_what_a_task_of_a_deleted_thread_writes_does_not_bring_it_back(store):
    saver, other = KeystileSaver(store), KeystileSaver(store)
    config = step(saver)
    other.delete_thread("t")
    saver.put_writes(config, [("x", "secret")], "task")
    for source in ("loop", "update", "fork"):
        with pytest.raises(keystile.Conflict):
            step(saver, config, source=source)
    assert store.list() == []
    step(saver, address("other"))
    saver.copy_thread("other", "t")
    assert saver.get_tuple(CONFIG).pending_writes == []
