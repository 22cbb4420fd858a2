"""Refusals are exceptions whose fields the native module keeps, and Conflicts use their memory again."""

import copy
import gc
import pickle
import threading
import weakref

import pytest

import keystile


def lose(store, key="plan"):
    store.commit(key, b"late", keystile.NEVER)


@pytest.fixture
def written(store):
    store.commit("plan", b"first", keystile.NEVER)
    return store


def caught(store, key="plan"):
    with pytest.raises(keystile.Conflict) as info:
        lose(store, key)
    return info.value


def test_what_it_says(written):
    stamp = written.get("plan").stamp
    conflict = caught(written)
    assert conflict.args == ("plan", stamp, None)
    assert (conflict.key, conflict.stamp, conflict.owner) == conflict.args
    assert (conflict.version, conflict.epoch) == (stamp.version, stamp.epoch)
    assert str(conflict) == "'plan': it was changed since it was read (now version 1, epoch " + f"{stamp.epoch})"
    assert repr(conflict) == f"Conflict('plan', {stamp!r}, None)"
    assert (conflict.status, conflict.errno, conflict.refusals, conflict.has_run) == ("KS_CONFLICT", 0, (), False)


def test_copied_and_pickled_with_what_was_said_about_it(written):
    conflict = caught(written)
    conflict.add_note("of the planner")
    for again in (copy.copy(conflict), pickle.loads(pickle.dumps(conflict))):
        assert type(again) is keystile.Conflict
        assert again.args == conflict.args
        assert again.__notes__ == ["of the planner"]


def test_one_that_uses_memory_again_has_nothing_of_the_one_before(written):
    def once():
        try:
            lose(written)
        except keystile.Conflict as conflict:
            conflict.mark = "mine"
            conflict.add_note("mine")
            conflict.refusals = (1,)
            try:
                raise conflict from ValueError("mine")
            except keystile.Conflict:
                return id(conflict)

    places = {once() for _ in range(100)}
    assert len(places) < 100
    for _ in range(100):
        try:
            lose(written)
        except keystile.Conflict as conflict:
            assert (conflict.__cause__, conflict.__context__, conflict.__suppress_context__) == (None, None, False)
            assert (conflict.__dict__, conflict.refusals) == ({}, ())
            assert conflict.__traceback__.tb_next.tb_next is None  # this function, lose()


def test_its_context_is_what_was_being_handled(written):
    try:
        try:
            raise ValueError("before")
        except ValueError:
            lose(written)
    except keystile.Conflict as conflict:
        assert isinstance(conflict.__context__, ValueError)
        assert not conflict.__suppress_context__


def test_many_at_once_are_each_themselves(written):
    keys = [f"key {i}" for i in range(100)]
    for key in keys:
        written.commit(key, b"first", keystile.NEVER)
    for _ in range(3):
        held = [caught(written, key) for key in keys]
        assert [conflict.key for conflict in held] == keys
        assert len({id(conflict) for conflict in held}) == len(keys)


@pytest.mark.parametrize("kind", [keystile.Conflict, keystile.Fenced])
def test_a_long_chain_ends_without_recursion(kind):
    def chain():
        last = None
        for _ in range(50_000):
            link = kind("plan", keystile.NEVER)
            link.__context__ = last
            last = link

    before = threading.stack_size(256 * 1024)  # too small for that many calls inside of each other
    try:
        thread = threading.Thread(target=chain)
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()


def test_one_that_refers_to_itself_is_collected(written):
    class Mark:
        pass

    conflict = caught(written)
    conflict.mark = Mark()
    mark = weakref.ref(conflict.mark)
    conflict.itself = conflict
    del conflict
    gc.collect()
    assert mark() is None


def test_subclasses_are_ordinary_classes(written):
    class Mine(keystile.Conflict):
        def __init__(self, why, *more):
            super().__init__("plan", keystile.NEVER)
            self.why = why

    mine = Mine("because", 2, 3, 4)
    assert mine.owner is None
    assert (mine.key, mine.stamp, mine.why, mine.status) == ("plan", keystile.NEVER, "because", "KS_CONFLICT")
    died = weakref.ref(mine)
    del mine
    assert died() is None
    assert isinstance(keystile.Fenced("plan", keystile.NEVER), RuntimeError)
    assert keystile.Held("plan", keystile.NEVER).owner is None


@pytest.mark.parametrize("arguments", [(), ("plan",), ("plan", 1), ("plan", keystile.NEVER, None, None)])
def test_wrong_arguments_are_a_type_error(arguments):
    with pytest.raises(TypeError):
        keystile.Conflict(*arguments)
