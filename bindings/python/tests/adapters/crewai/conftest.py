"""What the tests of CrewAI have in common."""

import logging
import multiprocessing
import os
import pathlib
import sys

import pytest

FOLDER = str(pathlib.Path(__file__).parent)
sys.path.insert(0, FOLDER)
import quiet  # noqa: E402, F401

os.environ["PYTHONPATH"] = FOLDER  # the server of other processes finds flows.py there
logging.getLogger("crewai").setLevel(logging.CRITICAL)  # it logs every refusal


@pytest.fixture(scope="session")
def processes():
    """Processes that have imported CrewAI already, and none of its threads."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["flows"])
    return context
