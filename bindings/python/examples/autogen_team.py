"""AutoGen: four processes go on with one team. States in a JSON file lose turns; with Keystile each is kept."""

import asyncio
import json
import os
import tempfile

from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import Response
from autogen_agentchat.conditions import MaxMessageTermination
from autogen_agentchat.messages import TextMessage
from autogen_agentchat.teams import RoundRobinGroupChat
from processes import run_together

import keystile
from keystile.autogen import load_team, save_team

PROCESSES, TURNS = 4, 5


class Counter(BaseChatAgent):
    """An agent without a model, which counts its turns."""

    def __init__(self):
        super().__init__("counter", "counts")
        self.turns = 0

    produced_message_types = (TextMessage,)

    async def on_messages(self, messages, cancellation_token):
        """Take a turn."""
        self.turns += 1
        return Response(chat_message=TextMessage(content=f"turn {self.turns}", source=self.name))

    async def on_reset(self, cancellation_token):
        """Forget."""
        self.turns = 0

    async def save_state(self):
        """The turns."""
        return {"turns": self.turns}

    async def load_state(self, state):
        """The turns again."""
        self.turns = state["turns"]


def team_of(counter):
    return RoundRobinGroupChat([counter], termination_condition=MaxMessageTermination(2))


async def turns_in_a_file(path):
    for _ in range(TURNS):
        team = team_of(Counter())
        if os.path.exists(path):
            with open(path) as file:
                await team.load_state(json.load(file))
        await team.run(task="go on")
        with open(f"{path}.{os.getpid()}", "w") as file:
            json.dump(await team.save_state(), file)
        os.replace(file.name, path)


async def turns_in_a_store(url):
    store = keystile.shared(url)
    for _ in range(TURNS):
        while True:
            team = team_of(Counter())
            stamp = await load_team(team, store, "team-7")
            await team.run(task="go on")
            try:
                await save_team(team, store, "team-7", stamp)
                break
            except keystile.Conflict:
                pass  # another process was faster: go on from what it saved


def work(turns, where, start):
    start.wait()
    asyncio.run(turns(where))


def run(turns, where):
    run_together(PROCESSES, work, turns, where)


async def turns_of(store):
    counter = Counter()
    await load_team(team_of(counter), store, "team-7")
    return counter.turns


def count(url):
    with keystile.open(url) as store:
        run(turns_in_a_store, url)
        return asyncio.run(turns_of(store))


async def turns_in(path):
    counter = Counter()
    with open(path) as file:
        await team_of(counter).load_state(json.load(file))
    return counter.turns


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        run(turns_in_a_file, f"{folder}/team.json")
        print(f"JSON file: {asyncio.run(turns_in(f'{folder}/team.json'))} of {PROCESSES * TURNS} turns are left")
    url = f"shm:autogen-example-{os.getpid()}"  # or "file:" and a new folder: survives reboot and power loss
    try:
        kept = count(url)
    finally:
        keystile.destroy(url)
    print(f"Keystile:  {kept} of {PROCESSES * TURNS}")
    assert kept == PROCESSES * TURNS
