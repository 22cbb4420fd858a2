"""What the Runner does with a session, and what a run knows of it."""

import asyncio
import contextlib
import gc

import pytest
from agents import Agent, Runner, function_tool
from scripted import CallingModel, ScriptedModel, answering, count_items, in_a_task_of_its_own, item, texts

import keystile
from keystile import openai_agents
from keystile.openai_agents import KeystileSession


def test_the_runner_keeps_the_history(session):
    async def main():
        agent = answering(ScriptedModel(count_items))
        assert (await Runner.run(agent, "one", session=session)).final_output == "I have seen 1"
        assert (await Runner.run(agent, "two", session=session)).final_output == "I have seen 3"
        assert texts(await session.get_items()) == ["one", "I have seen 1", "two", "I have seen 3"]

    asyncio.run(main())


@pytest.mark.parametrize("is_streamed", [False, True])
def test_all_turns_of_a_run_are_one_run(session, is_streamed):
    """It writes several times, and is never in its own way."""

    @function_tool
    def look() -> str:
        return "looked"

    async def main():
        agent = Agent(name="scripted", model=CallingModel(count_items), tools=[look])
        for seen in (3, 7):
            if is_streamed:
                result = Runner.run_streamed(agent, "look!", session=session)
                async for _ in result.stream_events():
                    pass
            else:
                result = await Runner.run(agent, "look!", session=session)
            assert result.final_output == f"I have seen {seen}"
        kinds = [one.get("type", one.get("role")) for one in await session.get_items()]
        assert kinds == ["user", "function_call", "function_call_output", "message"] * 2

    asyncio.run(main())


@pytest.mark.parametrize("claims", [False, True])
@pytest.mark.parametrize("how", ["adds", "clears", "pops", "rewrites", "runs another agent", "runs another that does"])
def test_a_run_knows_what_its_tools_have_done(store, how, claims):
    """Also if it has not read the session in this task, or by another object."""
    session, same = KeystileSession("s", store), KeystileSession("s", store)
    inner = answering(ScriptedModel(count_items))

    @function_tool
    async def look() -> str:
        match how:
            case "adds":
                await session.add_items([item("a note")])
                await same.add_items([item("another")])
            case "clears":
                await session.clear_session()
            case "pops":
                assert await same.pop_item()
            case "rewrites":
                await same.update(lambda items: items[-1:])
            case "runs another agent":
                await Runner.run(inner, "look!", session=session)
            case "runs another that does":
                await asyncio.create_task(Runner.run(calling(add), "look!", session=same))
        return "looked"

    @function_tool(name_override="look")
    async def add() -> str:
        await session.add_items([item("a note")])
        return "added"

    def calling(tool):
        return Agent(name="scripted", model=CallingModel(count_items), tools=[tool])

    async def main():
        await session.add_items([item("old")])
        async with session.claim(lease=60) if claims else contextlib.nullcontext():
            result = await Runner.run(calling(look), "look!", session=session)
        assert result.final_output.startswith("I have seen")
        kept = {"adds": 7, "clears": 3, "pops": 4, "rewrites": 4, "runs another agent": 7, "runs another that does": 10}
        assert len(await session.get_items()) == kept[how]

    asyncio.run(main())


@pytest.mark.parametrize("is_first", [True, False])
def test_a_run_is_told_what_others_have_done_beside_its_tools(store, is_first):
    session = KeystileSession("s", store)

    @function_tool
    async def look() -> str:
        mine, others = session.add_items([item("mine")]), session.add_items([item("other")])
        for call in (in_a_task_of_its_own(others), mine) if is_first else (mine, in_a_task_of_its_own(others)):
            await call
        return "looked"

    async def main():
        agent = Agent(name="scripted", model=CallingModel(count_items), tools=[look])
        with pytest.raises(keystile.Conflict):
            await Runner.run(agent, "look!", session=session)
        assert sorted(texts(await session.get_items())) == ["look!", "mine", "other"]

    asyncio.run(main())


def test_a_task_forgets_the_runs_that_are_over(store):
    async def main():
        session, agent = KeystileSession("s", store), answering(ScriptedModel(count_items))
        for _ in range(5):
            result = await Runner.run(agent, "go", session=session)
            (reads,) = openai_agents._reads.get().values()
            assert len(reads) <= 2  # of this run, and of the last one, whose result is there still
            gc.collect()
        assert result.final_output == "I have seen 9"

    asyncio.run(main())


@pytest.mark.parametrize("same_object", [True, False])
def test_of_two_runs_on_one_session_one_is_told(store, same_object):
    async def main():
        both = asyncio.Barrier(2)
        agent = answering(ScriptedModel(count_items, both.wait))
        one = KeystileSession("s", store)
        other = one if same_object else KeystileSession("s", store)

        async def quick():
            await both.wait()  # the first run thinks: it has read, and added its question
            return await Runner.run(answering(ScriptedModel(count_items)), "other", session=other)

        first, second = await asyncio.gather(Runner.run(agent, "one", session=one), quick(), return_exceptions=True)
        told = [type(outcome).__name__ for outcome in (first, second)]
        assert told.count("Conflict") == 1, told
        history = texts(await KeystileSession("s", store).get_items())
        assert history[0] == "one"
        assert sorted(history[1:]) == sorted(["other", "I have seen 2"])

    asyncio.run(main())


def test_runs_that_claim_the_session_go_one_after_the_other(store):
    async def main():
        agent = answering(ScriptedModel(count_items, lambda: asyncio.sleep(0.001)))

        async def turn(number):
            session = KeystileSession("s", store)
            async with session.claim(lease=60):
                return (await Runner.run(agent, str(number), session=session)).final_output

        said = await asyncio.gather(*(turn(number) for number in range(5)))
        assert sorted(said, key=lambda one: int(one.split()[-1])) == [f"I have seen {2 * n + 1}" for n in range(5)]

    asyncio.run(main())
