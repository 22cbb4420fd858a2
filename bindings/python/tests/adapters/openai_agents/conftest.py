"""What the tests of the OpenAI Agents SDK have in common."""

import pathlib
import sys

import pytest

from keystile.openai_agents import KeystileSession

sys.path.insert(0, str(pathlib.Path(__file__).parent))


@pytest.fixture(params=["store", "durable"])
def session(request):
    return KeystileSession("user/7%", request.getfixturevalue(request.param))
