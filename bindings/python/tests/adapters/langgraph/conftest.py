"""What LangGraph's tests have in common."""

import pathlib
import sys

import pytest

from keystile.langgraph import KeystileStore

sys.path.insert(0, str(pathlib.Path(__file__).parent))


@pytest.fixture
def items(store):
    return KeystileStore(store)
