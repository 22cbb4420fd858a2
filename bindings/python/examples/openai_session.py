"""OpenAI Agents SDK: two runs answer in one session at once. With Keystile one is told, or waits for its turn."""

import asyncio
import os

from agents import Agent, Runner, SQLiteSession, set_tracing_disabled
from scripted_model import ScriptedModel

import keystile
from keystile.openai_agents import KeystileSession

set_tracing_disabled(True)
agent = Agent(
    name="Counter",
    model=ScriptedModel(lambda input: f"I have seen {len(input)} items", thinking=lambda: asyncio.sleep(0.02)),
)


async def ask(session, question):
    return (await Runner.run(agent, question, session=session)).final_output


async def show(name, session_of, ask):
    answers = await asyncio.gather(ask(session_of(), "one?"), ask(session_of(), "two?"), return_exceptions=True)
    print(name)
    for answer in answers:
        print("  told:   ", answer)
    for item in await session_of().get_items():
        print("  history:", item["content"] if isinstance(item["content"], str) else item["content"][0]["text"])


async def ask_alone(session, question):
    async with session.claim(lease=60):
        return await ask(session, question)


async def main(store):
    built_in = SQLiteSession("user-7")
    await show("built-in session: neither has seen the other, their items are mixed", lambda: built_in, ask)
    await show("Keystile: one of them is told", lambda: KeystileSession("user-7", store), ask)
    await show("Keystile, each claims the session for its turn", lambda: KeystileSession("user-8", store), ask_alone)


url = f"shm:openai-example-{os.getpid()}"  # or "file:" and a new folder: survives reboot and power loss
try:
    with keystile.open(url) as opened:
        asyncio.run(main(opened))
finally:
    keystile.destroy(url)
