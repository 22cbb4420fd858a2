"""Reading and committing: what wins, what is refused, what the refusal says."""

import inspect
import pickle
import sys

import pytest

import keystile


def test_a_missing_key_has_the_stamp_that_creates_it(store):
    value, stamp = store.get("plan")
    assert value is None
    assert stamp == keystile.NEVER
    created = store.commit("plan", b"first", stamp)
    assert store.get("plan") == keystile.Entry(b"first", created)
    assert created.version > 0


def test_the_second_of_two_writers_of_one_version_gets_a_conflict(store):
    stamp = store.get("plan").stamp
    won = store.commit("plan", b"mine", stamp)
    with pytest.raises(keystile.Conflict) as caught:
        store.commit("plan", b"yours", stamp)
    conflict = caught.value
    assert store.get("plan").value == b"mine"
    assert (conflict.key, conflict.stamp, conflict.owner) == ("plan", won, None)
    assert (conflict.version, conflict.epoch) == (won.version, won.epoch)
    assert (conflict.status, conflict.errno) == ("KS_CONFLICT", 0)
    assert "'plan'" in str(conflict)
    again = pickle.loads(pickle.dumps(conflict))
    assert (type(again), again.stamp) == (keystile.Conflict, won)


def test_try_commit_answers(store):
    stamp = store.get("plan").stamp
    won = store.try_commit("plan", b"mine", stamp)
    assert won
    assert won.ok
    assert won.status == "KS_OK"
    lost = store.try_commit("plan", b"yours", stamp)
    assert not lost
    assert (lost.status, lost.stamp, lost.owner) == ("KS_CONFLICT", won.stamp, None)


def test_answers_pickle(store):
    free = store.try_commit("free", b"v", keystile.NEVER)
    store.claim("mine").keep()
    store.claim("leased", lease=3600, detached=True)
    held = [store.try_commit(key, b"v", store.get(key).stamp) for key in ("mine", "leased")]
    for answer in (free, store.try_commit("free", b"w", keystile.NEVER), store.try_delete("none", free.stamp), *held):
        again = pickle.loads(pickle.dumps(answer))
        assert (again.ok, again.status, again.stamp) == (answer.ok, answer.status, answer.stamp)
        assert (again.owner, repr(again)) == (answer.owner, repr(answer))
    assert [answer.owner.lease_left is None for answer in held] == [True, False]
    owner = held[1].owner
    for wrong in (("KS_FAULT", free.stamp), ("KS_HELD", free.stamp), ("KS_OK", None), ()):
        with pytest.raises((TypeError, ValueError)):
            keystile.Answer(*wrong)
    for lease in (-1, float("nan"), 1e11, "1"):
        with pytest.raises((TypeError, ValueError)):
            keystile.Answer("KS_HELD", free.stamp, owner._replace(lease_left=lease))


def test_deletion_keeps_the_version_growing(store):
    created = store.commit("plan", b"first", keystile.NEVER)
    deleted = store.delete("plan", created)
    assert deleted.version > created.version
    assert store.get("plan") == keystile.Entry(None, deleted)
    with pytest.raises(keystile.Conflict):
        store.commit("plan", b"late", created)
    assert store.delete("plan", deleted) == deleted  # nothing there, nothing done
    assert store.try_delete("plan", deleted).status == "KS_NOT_FOUND"


@pytest.mark.parametrize("value", [b"", b"\0", bytearray(b"abc"), memoryview(b"abc"), b"x" * 2048, b"x" * 2049])
def test_values_are_bytes_of_any_kind_and_size(store, value):
    store.commit("k", value, keystile.NEVER)
    assert store.get("k").value == bytes(value)


def test_the_largest_value_and_one_byte_more(store):
    largest = bytes(keystile.VALUE_SIZE_MAX)
    stamp = store.commit("k", largest, keystile.NEVER)
    assert store.get("k").value == largest
    with pytest.raises(keystile.ValueSizeError):
        store.commit("k", largest + b"x", stamp)
    assert store.get("k") == keystile.Entry(largest, stamp)


def test_the_shortest_and_the_longest_lease(store):
    for lease in (0.001, 365 * 86400):
        with store.claim("k", lease=lease):
            pass


def test_str_and_bytes_name_the_same_key(store):
    stamp = store.commit("schlüssel", b"v", keystile.NEVER)
    assert store.get("schlüssel".encode()).stamp == stamp
    raw = b"\xff\x00key"
    store.commit(raw, b"w", keystile.NEVER)
    name = next(listed.key for listed in store.list() if listed.key != "schlüssel")
    assert store.get(name).value == b"w"  # a key that is no UTF-8, as str, goes back to its bytes
    assert store.list(b"\xff")[0].key == raw


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda s: s.get(""), keystile.KeySizeError, "1 to 1024"),
        (lambda s: s.get("k" * 1025), keystile.KeySizeError, "1025"),
        (lambda s: s.get(3), TypeError, "str or bytes"),
        (lambda s: s.commit("k", "text", keystile.NEVER), TypeError, "encode"),
        (lambda s: s.commit("k", None, keystile.NEVER), TypeError, "delete"),
        (lambda s: s.commit("k", 3, keystile.NEVER), TypeError, "bytes"),
        (lambda s: s.commit("k", b"", None), TypeError, "Stamp"),
        (lambda s: s.commit("k", b"", (0, 0)), TypeError, "Stamp"),
        (lambda s: s.commit("k", b"", s.get("k")), TypeError, "Entry"),
        (lambda s: s.commit("k", b""), TypeError, "'stamp'"),
        (lambda s: s.commit("k", b"", keystile.NEVER, None), TypeError, "3 arguments"),
        (lambda s: s.commit("k", b"", keystile.NEVER, key="k"), TypeError, "twice"),
        (lambda s: s.commit("k", b"", keystile.NEVER, lease=1), TypeError, "'lease'"),
        (lambda s: s.commit("k", b"", keystile.NEVER, claim="x"), TypeError, "claim"),
        (lambda s: s.commit("k", b"", keystile.NEVER, claim=bytes(48)), (TypeError, keystile.GrantError), ""),
        (lambda s: s.commit("k", b"", keystile.NEVER, release=True), ValueError, "claim="),
        (lambda s: keystile.Stamp(-1, 0), ValueError, "version"),
        (lambda s: keystile.Stamp(2**64, 0), ValueError, "version"),
        (lambda s: keystile.Stamp("1", 0), TypeError, "version"),
        (lambda s: s.claim("k", lease=0), keystile.ArgumentError, "or None for"),
        (lambda s: s.claim("k", lease=0.000999), keystile.ArgumentError, "0.001 s to a year"),
        (lambda s: s.claim("k", lease=366 * 86400), keystile.ArgumentError, "0.001 s to a year"),
        (lambda s: s.claim("k", lease=float("inf")), keystile.ArgumentError, "0.001 s to a year"),
        (lambda s: s.claim("k", lease=-1), ValueError, "lease"),
        (lambda s: s.claim("k", lease=float("nan")), ValueError, "lease"),
        (lambda s: s.claim("k", lease="1"), TypeError, "lease"),
        (lambda s: s.claim("k", detached=True), keystile.ArgumentError, "lease"),
        (lambda s: s.grant("k", "no token"), keystile.GrantError, "token"),
        (lambda s: s.update("k", lambda old: None), TypeError, "DELETE"),
        (lambda s: s.update("k", lambda old: "text"), TypeError, "encode"),
        (lambda s: s.update("k", lambda old: 5), TypeError, "a value is bytes"),
        (lambda s: s.transaction().put("k", 5), TypeError, "a value is bytes"),
        (lambda s: s.transaction().put("k", b"", claim="x"), TypeError, "claim"),
        (lambda s: s.transaction().release("x"), TypeError, "claim"),
        (lambda s: s.snapshot("k"), TypeError, "list of keys"),
        (lambda s: s.watch("k", timeout=-1), ValueError, "timeout"),
        (lambda s: s.feed(), keystile.UrlError, "file:"),
        (lambda s: s.feed("soon"), ValueError, "now"),
        (lambda s: keystile.open("nowhere"), keystile.UrlError, "shm:NAME"),
        (lambda s: keystile.open(b"shm:x"), TypeError, "str"),
        (lambda s: keystile.open("shm:py.no.such", must_exist=True), keystile.NoStoreError, "no such store"),
        (lambda s: keystile.open(s.url, must_create=True), keystile.StoreExistsError, ""),
        (lambda s: keystile.open(s.url, durable=True), keystile.ArgumentError, "nothing of a shm: store is on disk"),
        (lambda s: keystile.open(s.url, must_create=True, must_exist=True), keystile.ArgumentError, "contradicts"),
        (lambda s: keystile.open("file:relative"), keystile.UrlError, ""),
        (lambda s: keystile.destroy(s.url), keystile.InUseError, ""),
        (lambda s: keystile.destroy("shm:py.no.such"), keystile.NoStoreError, ""),
        (lambda s: keystile.open(s.url + "\0x", must_exist=True), keystile.UrlError, "zero byte"),
        (lambda s: keystile.shared(s.url + "\0x", must_exist=True), keystile.UrlError, "zero byte"),
        (lambda s: keystile.destroy(s.url + "\0x", force=True), keystile.UrlError, "zero byte"),
        (lambda s: keystile.Feed("file:/nowhere\0x"), keystile.UrlError, "zero byte"),
        (lambda s: keystile.open(s.url, label="a\0b"), keystile.ArgumentError, "label has no zero byte"),
        (lambda s: keystile.open(s.url, label=5), TypeError, "label is str"),
        (lambda s: keystile.open(s.url, group=2**32 + 5), keystile.ArgumentError, "group"),
        (lambda s: keystile.open(s.url, group=2**32 - 1), keystile.ArgumentError, "group"),
        (lambda s: keystile.open(s.url, group=-1), ValueError, "group"),
        (lambda s: s.grant("k", "token\0x"), keystile.GrantError, "zero byte"),
        (lambda s: keystile.Store(), TypeError, ""),
        (lambda s: s.reclaim("nothing", 1), keystile.NotFound, "'nothing'"),
    ],
)
def test_mistakes_are_told_and_lose_nothing(store, call, error, says):
    with pytest.raises(error) as caught:
        call(store)
    assert says in str(caught.value)
    assert not store.closed
    assert store.check().problems == []
    assert all(listed.deleted or listed.size == 0 for listed in store.list(all=True))


def test_a_closed_store_says_so(store):
    grant = store.claim("k")
    store.close()
    store.close()
    assert store.closed
    for call in (
        lambda: store.get("k"),
        lambda: store.commit("k", b"", keystile.NEVER),
        lambda: store.list(),
        lambda: store.watch("k", timeout=0),
        lambda: store.flush(),
        lambda: store.stats(),
        lambda: store.claim("k"),
        lambda: store.snapshot(),
        lambda: grant.commit(b"x"),
        lambda: store.check(),
    ):
        with pytest.raises(keystile.ClosedError):
            call()


def test_an_argument_that_closes_the_store_is_told(store):
    class Closing:
        def __bool__(self):
            store.close()
            return True

    with pytest.raises(keystile.ClosedError):
        store.commit("k", b"v", keystile.NEVER, durable=Closing())


def test_a_read_only_store_refuses_to_write(store, url):
    stamp = store.commit("k", b"v", keystile.NEVER)
    with keystile.open(url, read_only=True) as reader:
        assert reader.get("k") == keystile.Entry(b"v", stamp)
        with pytest.raises(keystile.ReadOnlyError):
            reader.commit("k", b"w", stamp)


def test_a_destroyed_store_says_so(store, url):
    keystile.destroy(url, force=True)
    with pytest.raises(keystile.DestroyedError):
        store.commit("k", b"v", keystile.NEVER)


def test_a_full_store_says_so(url):
    with keystile.open(url, max_bytes=32 << 20) as store, pytest.raises(keystile.FullError):
        for i in range(8):
            store.commit(f"k{i}", bytes(8 << 20), keystile.NEVER)


def test_stamps_compare_hash_print_and_pickle():
    a, b = keystile.Stamp(3, 4), keystile.Stamp(version=3, epoch=4)
    assert a == b
    assert a != keystile.Stamp(3, 5)
    assert hash(a) == hash(b)
    assert a != (3, 4)
    assert eval(repr(a), {"Stamp": keystile.Stamp}) == a
    assert pickle.loads(pickle.dumps(a)) == a
    assert keystile.Stamp(1, 1).is_claimed
    entry = keystile.Entry(b"v", a)
    assert pickle.loads(pickle.dumps(entry)) == entry
    assert list(entry) == [b"v", a]
    with pytest.raises(AttributeError):
        a.version = 9
    with pytest.raises(TypeError):
        a < b


def test_calls_tell_their_arguments(store):
    assert list(inspect.signature(store.get).parameters) == ["key"]
    assert list(inspect.signature(keystile.Store.try_delete).parameters)[:3] == ["self", "key", "stamp"]
    assert inspect.signature(store.commit).bind("k", b"", keystile.NEVER, durable=True)


def test_get_many_and_list(store):
    stamps = [store.commit(f"x/{i}", b"v" * i, keystile.NEVER) for i in range(5)]
    entries = store.get_many([f"x/{i}" for i in range(6)])
    assert [entry.stamp for entry in entries] == [*stamps, keystile.NEVER]
    listed = {one.key: one for one in store.list("x/")}
    assert {key: one.size for key, one in listed.items()} == {f"x/{i}": i for i in range(5)}
    store.delete("x/0", stamps[0])
    assert len(store.list("x/")) == 4
    gone = next(one for one in store.list("x/", all=True) if one.deleted)
    assert gone.key == "x/0"
    with pytest.raises(TypeError):
        store.get_many(["a", 3])


def test_every_status_of_the_header_has_an_exception():
    import pathlib
    import re

    header = pathlib.Path(__file__).parents[3] / "engine" / "abi" / "keystile.h"
    text = header.read_text(encoding="utf-8")
    enum = text[text.index("typedef enum ks_status") : text.index("} ks_status;")]
    numbers = {int(number) for number in re.findall(r"KS_\w+\s*=\s*(-?\d+)", enum)}
    assert numbers - {0, 1, 2, 3, 9} == set(keystile._errors.FAULTS)


def test_what_retry_policies_see():
    for plain in (keystile.Conflict, keystile.Held, keystile.Busy):
        assert not issubclass(plain, (RuntimeError, ValueError, TypeError, OSError, LookupError, ArithmeticError))
    assert issubclass(keystile.Fenced, RuntimeError)
    for fault in keystile._errors.FAULTS.values():
        assert issubclass(fault, RuntimeError) or fault in (keystile.Busy, keystile.Lagged)


def test_stats_participants_and_check(store):
    store.commit("k", b"v", keystile.NEVER)
    stats = store.stats()
    assert (stats.keys, stats.participants, stats.total.commits) == (1, 1, 1)
    (one,) = store.participants()
    assert one.is_self
    assert one.is_alive
    assert store.reap() == 0
    assert store.check()[:3] == (1, 0, 0)


KEPT = 16384  # KEPT_BYTES_MAX of core.h


@pytest.mark.parametrize("size", [1, 64, 1024, 2048, 2049, KEPT])
def test_a_value_that_has_not_changed_is_copied_out_once(store, size):
    key, value = f"key of {size}", bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    stamp = store.commit(key, value, keystile.NEVER)
    store.get(key)
    first, again = store.get(key), store.get(key)
    assert first == again == keystile.Entry(value, stamp)
    assert first.value is again.value


@pytest.mark.parametrize("size", [0, 1, 1024, 5000, KEPT, KEPT + 1])
def test_a_value_that_another_opening_changes_is_read_anew(url, store, size):
    key = f"key of {size}"
    with keystile.open(url) as other:
        stamp = keystile.NEVER
        for turn in range(5):
            value = b"%d" % turn * size
            stamp = other.commit(key, value, stamp)
            for _ in range(3):
                assert store.get(key) == keystile.Entry(value, stamp)
        with other.claim(key) as grant:
            claimed = store.get(key)
            assert (claimed.value, claimed.stamp.is_claimed) == (value, True)
            shorter = grant.commit(b"short")
            assert store.get(key).value == b"short"
        assert store.get(key).stamp.version == shorter.version
        gone = other.delete(key, store.get(key).stamp)
        assert store.get(key) == store.get(key) == keystile.Entry(None, gone)
        back = other.commit(key, b"back", gone)
        assert store.get(key) == store.get(key) == keystile.Entry(b"back", back)


def test_a_store_that_is_closed_keeps_no_value(url):
    store = keystile.open(url)
    store.commit("plan", b"x" * 1000, keystile.NEVER)
    store.get("plan")
    value = store.get("plan").value
    held = sys.getrefcount(value)
    store.close()
    assert sys.getrefcount(value) == held - 1
