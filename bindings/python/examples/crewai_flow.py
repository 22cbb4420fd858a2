"""CrewAI: four processes go on with one flow. SQLiteFlowPersistence loses turns; with Keystile each is kept."""

import logging
import os
import tempfile

os.environ.update(CREWAI_DISABLE_TELEMETRY="true", CREWAI_TRACING_ENABLED="false", CREWAI_TESTING="true")

from crewai.events.event_listener import event_listener
from crewai.flow.flow import Flow, FlowState, start
from crewai.flow.persistence import SQLiteFlowPersistence, persist
from processes import run_together

import keystile
from keystile.crewai import KeystileFlowPersistence, unwrap

PROCESSES, TURNS = 4, 10


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


def work(persistence_class, where, begin):
    event_listener.formatter.console.quiet = True
    logging.disable()  # CrewAI logs every refusal
    count = flow_on(persistence_class(where))
    begin.wait()
    for _ in range(TURNS):
        turn(count)


def run(persistence_class, where):
    run_together(PROCESSES, work, persistence_class, where)
    return persistence_class(where).load_state("job-7")["turns"]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CREWAI_STORAGE_DIR"] = folder
        kept = run(SQLiteFlowPersistence, f"{folder}/flows.db")
        print(f"SQLiteFlowPersistence: {kept} of {PROCESSES * TURNS} turns are left")
        url = f"shm:crewai-example-{os.getpid()}"  # or "file:" and a new folder: survives reboot and power loss
        try:
            with keystile.open(url):
                kept = run(KeystileFlowPersistence, url)
        finally:
            keystile.destroy(url)
    print(f"Keystile:              {kept} of {PROCESSES * TURNS}")
    assert kept == PROCESSES * TURNS
