"""AutoGen's team state, memory and cache in a store, and that nothing is lost, whoever writes beside."""

import asyncio
import contextvars
import multiprocessing
import pathlib
import subprocess
import sys

import pytest
from autogen_core import CacheStore as UpstreamCacheStore
from autogen_core import InMemoryStore
from autogen_core.memory import Memory as UpstreamMemory
from autogen_core.memory import MemoryContent, MemoryMimeType
from autogen_core.model_context import BufferedChatCompletionContext
from autogen_core.models import UserMessage
from autogen_ext.models.cache import ChatCompletionCache
from autogen_ext.models.replay import ReplayChatCompletionClient

import keystile
from keystile.autogen import CacheStore, Memory, load_team, save_team

EXAMPLES = pathlib.Path(__file__).parents[3] / "examples"
FORK = multiprocessing.get_context("fork")
sys.path.insert(0, str(EXAMPLES))
import autogen_team as example  # noqa: E402


def elsewhere(function, *arguments):
    return contextvars.Context().run(function, *arguments)


# ---- Teams ----


@pytest.mark.parametrize("kind", ["store", "durable"])
def test_a_team_comes_back_and_a_stale_one_is_refused(request, kind):
    store = request.getfixturevalue(kind)

    async def main():
        team = example.team_of(example.Counter())
        stamp = await load_team(team, store, "t")
        await team.run(task="go on")
        first = await save_team(team, store, "t", stamp)
        assert await save_team(team, store, "t", first) != first
        for stale in (stamp, first):
            with pytest.raises(keystile.Conflict):
                await save_team(team, store, "t", stale)
        counter = example.Counter()
        stamp = await load_team(example.team_of(counter), store, "t")
        assert counter.turns == 1
        with store.claim("t"):
            pass
        with pytest.raises(keystile.Conflict):  # no claim was used: not Fenced
            await save_team(team, store, "t", stamp)

    asyncio.run(main())


def test_processes_lose_nothing(url):
    assert example.count(url) == example.PROCESSES * example.TURNS


def zombie(url, ready, wake, told):
    async def main():
        store = keystile.shared(url)
        team = example.team_of(example.Counter())
        try:
            grant = store.claim("team-7", lease=0.05)
            stamp = await load_team(team, store, "team-7")
            ready.set()
            wake.wait()
            await team.run(task="go on")
            await save_team(team, store, "team-7", stamp, claim=grant)
            told.put("done")
        except keystile.Fenced:
            told.put("fenced")

    asyncio.run(main())


def test_who_lost_its_claim_is_fenced(store, url):
    ready, wake, told = FORK.Event(), FORK.Event(), FORK.Queue()
    process = FORK.Process(target=zombie, args=(url, ready, wake, told))
    process.start()
    assert ready.wait(60)

    async def main():
        team = example.team_of(example.Counter())
        async with store.aclaim("team-7", lease=60, wait=None) as grant:  # waits until the lease is over
            await load_team(team, store, "team-7")
            await team.run(task="go on")
            await save_team(team, store, "team-7", grant.stamp, claim=grant)

    asyncio.run(main())
    before = store.get("team-7")
    wake.set()
    assert told.get(timeout=60) == "fenced"
    process.join()
    assert store.get("team-7").value == before.value


# ---- The cache ----


def test_the_cache(store):
    cache = CacheStore(store)
    assert isinstance(cache, UpstreamCacheStore)
    assert cache.get("a/b") is None and cache.get("a/b", 5) == 5
    cache.set("a/b", {"x": [1, None, "ä"]})
    assert cache.get("a/b", 5) == {"x": [1, None, "ä"]}
    cache.set("a/b", 2)
    cache.set("a/b", 3)
    assert CacheStore(store).get("a/b") == 3
    again = CacheStore.load_component(cache.dump_component())
    assert again.get("a/b") == 3
    with pytest.raises(TypeError):
        cache.set("c", object())


def test_a_set_replaces_only_what_was_got(store):
    cache = CacheStore(store)
    cache.set("n", 0)
    assert cache.get("n") == 0
    elsewhere(cache.set, "n", 1)
    with pytest.raises(keystile.Conflict):
        cache.set("n", 1)
    assert cache.get("n") == 1
    cache.set("n", 2)
    elsewhere(CacheStore(store).set, "n", 3)  # has got nothing: as every cache
    with pytest.raises(keystile.Conflict):
        cache.set("n", 9)
    assert cache.get("n") == 3


def test_who_missed_replaces_what_is_there_by_now(store):
    cache = CacheStore(store)
    cache.set("n", 0)
    assert cache.get("n") == 0
    store.update("autogen/cache/n", lambda _: keystile.DELETE)
    assert cache.get("n") is None
    elsewhere(cache.set, "n", 1)
    cache.set("n", 2)
    assert cache.get("n") == 2


def test_of_tasks_that_one_get_was_for_one_is_told(store):
    cache = CacheStore(store)

    async def add(seen, number):
        cache.set("n", [*seen, number])

    async def main():
        cache.set("n", [])
        seen = cache.get("n")
        told = await asyncio.gather(add(seen, 1), add(seen, 2), return_exceptions=True)
        assert [type(one).__name__ for one in told] == ["NoneType", "Conflict"]
        with pytest.raises(keystile.Conflict):
            await add(seen, 3)
        assert cache.get("n") == [1]

    asyncio.run(main())


class Answering(ReplayChatCompletionClient):
    """Answers when all that ask at once have asked."""

    def __init__(self, answers, asked):
        super().__init__(answers)
        self.asked = asked

    async def create(self, *arguments, **options):
        answer = await super().create(*arguments, **options)
        await self.asked.wait()
        return answer


def test_it_is_where_autogen_caches_what_a_model_said(store):
    async def main():
        question = [UserMessage(content="Well?", source="user")]
        client = ChatCompletionCache(Answering(["one", "two"], asyncio.Barrier(2)), CacheStore(store))
        both = await asyncio.gather(client.create(question), client.create(question))
        assert sorted(one.content for one in both) == ["one", "two"]
        again = await client.create(question)
        assert again.cached and again.content in ("one", "two")

        question = [UserMessage(content="And how?", source="user")]
        client = ChatCompletionCache(ReplayChatCompletionClient(["word by word"]), CacheStore(store))
        said = [part async for part in client.create_stream(question)]
        cached = [part async for part in client.create_stream(question)]
        assert cached[-1].cached and [*cached[:-1], cached[-1].content] == [*said[:-1], "word by word"]

    asyncio.run(main())


async def increments(cache, told):
    for _ in range(20):
        while True:
            number = cache.get("n")
            await asyncio.sleep(0)
            try:
                cache.set("n", number + 1)
                break
            except keystile.Conflict:
                told.append(1)


def test_tasks_lose_nothing_in_ours_and_most_in_the_built_in_one(store):
    async def main(cache):
        told = []
        cache.set("n", 0)
        await asyncio.gather(*(increments(cache, told) for _ in range(4)))
        return cache.get("n"), bool(told)

    assert asyncio.run(main(InMemoryStore())) == (20, False)
    assert asyncio.run(main(CacheStore(store))) == (80, True)


# ---- Memory ----


def text(words):
    return MemoryContent(content=words, mime_type=MemoryMimeType.TEXT, metadata={"by": "me"})


def test_a_memory_comes_back_as_what_it_was(store):
    from autogen_core import Image
    from PIL import Image as Pixels

    async def main():
        memory = Memory(store, "m")
        contents = [
            ("words", MemoryMimeType.TEXT),
            ({"a": [1]}, MemoryMimeType.JSON),
            (b"\xff\0", MemoryMimeType.BINARY),
            (Image(Pixels.new("RGB", (1, 1))), MemoryMimeType.IMAGE),
        ]
        for content, mime in contents:
            await memory.add(MemoryContent(content=content, mime_type=mime, metadata={"n": 1}))
        for (content, mime), found in zip(contents, (await memory.query()).results, strict=True):
            assert type(found.content) is type(content)
            assert (found.mime_type, found.metadata) == (mime, {"n": 1})
            if not isinstance(content, Image):
                assert found.content == content

    asyncio.run(main())


def test_memory(store):
    async def main():
        memory = Memory(store, "m")
        context = BufferedChatCompletionContext(buffer_size=3)
        assert isinstance(memory, UpstreamMemory)
        assert (await memory.query("x")).results == []
        assert (await memory.update_context(context)).memories.results == []
        assert await context.get_messages() == []
        await memory.add(text("a"))
        await memory.add(text("b"))
        assert [one.content for one in (await Memory(store, "m").query()).results] == ["a", "b"]
        assert (await memory.query()).results[0].metadata == {"by": "me"}
        assert len((await memory.update_context(context)).memories.results) == 2
        (message,) = await context.get_messages()
        assert "1. a" in message.content and "2. b" in message.content
        again = Memory.load_component(memory.dump_component())
        assert len((await again.query()).results) == 2
        await memory.clear()
        assert (await memory.query()).results == []
        await memory.close()

    asyncio.run(main())


def add(url, start):
    async def main():
        for number in range(25):
            await Memory(url, "m").add(text(str(number)))

    start.wait()
    with keystile.open(url):
        asyncio.run(main())


def test_processes_that_add_lose_nothing(store, url):
    start = FORK.Barrier(4)
    processes = [FORK.Process(target=add, args=(url, start)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    found = asyncio.run(Memory(store, "m").query()).results
    assert sorted(int(one.content) for one in found) == sorted([*range(25)] * 4)


def test_the_example_runs():
    subprocess.run([sys.executable, str(EXAMPLES / "autogen_team.py")], check=True)
