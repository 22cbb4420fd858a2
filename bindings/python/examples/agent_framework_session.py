"""agent-framework: four processes continue one session. The file store loses turns; with Keystile each is kept."""

import asyncio
import multiprocessing
import tempfile

from agent_framework import AgentSession, FileSessionStore

import keystile
from keystile.agent_framework import SessionStore

PROCESSES, TURNS = 4, 25
FORK = multiprocessing.get_context("fork")


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


def work(where, start):
    sessions = SessionStore(where) if where.startswith("shm:") else FileSessionStore(where)
    start.wait()
    asyncio.run(turns(sessions))


def count(where):
    start = FORK.Barrier(PROCESSES)
    processes = [FORK.Process(target=work, args=(where, start)) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert not any(process.exitcode for process in processes)
    sessions = SessionStore(where) if where.startswith("shm:") else FileSessionStore(where)
    session = asyncio.run(sessions.get("user-7"))
    return session.state["turns"]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        print(f"FileSessionStore: {count(folder)} of {PROCESSES * TURNS} turns are left")
    url = "shm:agent-framework-example"  # or "file:/var/lib/agents": survives reboot and power loss
    with keystile.open(url):
        kept = count(url)
    print(f"Keystile:         {kept} of {PROCESSES * TURNS}")
    keystile.destroy(url)
    assert kept == PROCESSES * TURNS
