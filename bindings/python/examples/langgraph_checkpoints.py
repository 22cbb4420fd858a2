"""LangGraph: a job is given out twice, and two workers resume one thread.

With the built-in saver both are told that all is well, and one's whole turn is gone; with Keystile's one of them is
told, or waits for its turn.
"""

import operator
import os
import threading
import time
from typing import Annotated, TypedDict

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph

import keystile
from keystile.langgraph import KeystileSaver

THREAD = {"configurable": {"thread_id": "order-7"}}


class State(TypedDict):
    log: Annotated[list, operator.add]


def resume(saver, worker):
    def work(state):
        time.sleep(0.1)
        return {"log": [f"{worker} did it"]}

    builder = StateGraph(State)
    builder.add_node("work", work)
    builder.add_edge(START, "work")
    return builder.compile(checkpointer=saver).invoke({"log": [f"{worker} begins"]}, THREAD)


def two_workers(saver, resume):
    def run(worker):
        try:
            resume(saver, worker)
            print(f"  {worker}: done")
        except keystile.Conflict as conflict:
            print(f"  {worker}: {conflict}")

    threads = [threading.Thread(target=run, args=(worker,)) for worker in ("anna", "bert")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print("  the thread says:", saver.get(THREAD)["channel_values"]["log"])


def resume_alone(saver, worker):
    with saver.claim("order-7", lease=60, wait=None):  # a worker that dies, or sleeps for longer, loses it: Fenced
        resume(saver, worker)


print("built-in saver:")
two_workers(InMemorySaver(), resume)

url = f"shm:langgraph-example-{os.getpid()}"
try:
    with keystile.open(url) as store:
        saver = KeystileSaver(store)
        print("Keystile:")
        two_workers(saver, resume)
        saver.delete_thread("order-7")
        print("Keystile, each claims the thread for its turn:")
        claimed = [KeystileSaver(store), KeystileSaver(store)]  # a worker's own, as in processes
        two_workers(saver, lambda _, worker: resume_alone(claimed[worker == "bert"], worker))
        assert len(saver.get(THREAD)["channel_values"]["log"]) == 4
finally:
    keystile.destroy(url)
