"""CrewAI without its telemetry, its traces, and files in the user's home."""

import logging
import multiprocessing
import os
import pathlib
import sys
import tempfile

import pytest

HOME = tempfile.TemporaryDirectory(prefix="keystile-crewai-")
os.environ.update(
    CREWAI_DISABLE_TELEMETRY="true",
    CREWAI_STORAGE_DIR=f"{HOME.name}/storage",
    CREWAI_TESTING="true",
    CREWAI_TRACING_ENABLED="false",
    HOME=HOME.name,
    OTEL_SDK_DISABLED="true",
)
FOLDER = str(pathlib.Path(__file__).parent)
sys.path.insert(0, FOLDER)
os.environ["PYTHONPATH"] = FOLDER  # the server of other processes finds flows.py there
logging.getLogger("crewai").setLevel(logging.CRITICAL)  # it logs every refusal


@pytest.fixture(scope="session")
def processes():
    """Processes that have imported CrewAI already, and none of its threads."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["flows"])
    return context
