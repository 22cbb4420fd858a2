"""agent-framework: four processes continue one session. The file store loses turns; with Keystile each is kept."""

import asyncio
import os
import tempfile

from agent_framework import AgentSession, FileSessionStore
from processes import run_together

import keystile
from keystile.agent_framework import SessionStore

PROCESSES, TURNS = 4, 25


async def turn(sessions):
    session = await sessions.get("user-7") or AgentSession(session_id="user-7")
    session.state["turns"] = session.state.get("turns", 0) + 1
    await asyncio.sleep(0.001)  # the model thinks
    await sessions.set("user-7", session)


async def turns(sessions):
    for _ in range(TURNS):
        while True:
            try:
                await turn(sessions)
                break
            except keystile.Conflict:  # never of the built-in store: it does not tell
                await asyncio.sleep(0)


def work(store_class, where, start):
    sessions = store_class(where)
    start.wait()
    asyncio.run(turns(sessions))


def count(store_class, where):
    run_together(PROCESSES, work, store_class, where)
    session = asyncio.run(store_class(where).get("user-7"))
    return session.state["turns"]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        print(f"FileSessionStore: {count(FileSessionStore, folder)} of {PROCESSES * TURNS} turns are left")
    url = f"shm:agent-framework-example-{os.getpid()}"  # or "file:" and a new folder: survives reboot and power loss
    try:
        with keystile.open(url):
            kept = count(SessionStore, url)
    finally:
        keystile.destroy(url)
    print(f"Keystile:         {kept} of {PROCESSES * TURNS}")
    assert kept == PROCESSES * TURNS
