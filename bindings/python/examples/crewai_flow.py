"""CrewAI: four processes go on with one flow. SQLiteFlowPersistence loses turns; with Keystile each is kept."""

import logging
import multiprocessing
import os
import tempfile

os.environ.update(CREWAI_DISABLE_TELEMETRY="true", CREWAI_TRACING_ENABLED="false", CREWAI_TESTING="true")

from crewai.events.event_listener import event_listener
from crewai.flow.flow import Flow, FlowState, start
from crewai.flow.persistence import SQLiteFlowPersistence, persist

import keystile
from keystile.crewai import KeystileFlowPersistence, unwrap

PROCESSES, TURNS = 4, 10
FORK = multiprocessing.get_context("fork")


class State(FlowState):
    turns: int = 0


def flow_on(persistence):
    @persist(persistence)
    class Count(Flow[State]):
        _skip_auto_memory = True  # a flow's memory is a LanceDB, which this one has no use for

        @start()
        def turn(self):
            self.state.turns += 1

    return Count


def turn(count):
    while True:
        try:
            return count(suppress_flow_events=True).kickoff(inputs={"id": "job-7"})
        except Exception as error:
            if not isinstance(unwrap(error), keystile.Conflict):
                raise
            # another process was faster: a new flow goes on from what that one saved


def persistence_in(where):
    return KeystileFlowPersistence(where) if where.startswith("shm:") else SQLiteFlowPersistence(where)


def work(where, begin):
    event_listener.formatter.console.quiet = True
    logging.disable()  # CrewAI logs every refusal
    count = flow_on(persistence_in(where))
    begin.wait()
    for _ in range(TURNS):
        turn(count)


def run(where):
    begin = FORK.Barrier(PROCESSES)
    processes = [FORK.Process(target=work, args=(where, begin)) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert not any(process.exitcode for process in processes)
    return persistence_in(where).load_state("job-7")["turns"]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CREWAI_STORAGE_DIR"] = folder
        print(f"SQLiteFlowPersistence: {run(f'{folder}/flows.db')} of {PROCESSES * TURNS} turns are left")
        url = "shm:crewai-example"  # or "file:/var/lib/agents": survives reboot and power loss
        with keystile.open(url):
            kept = run(url)
    print(f"Keystile:              {kept} of {PROCESSES * TURNS}")
    keystile.destroy(url)
    assert kept == PROCESSES * TURNS
