"""Copies of CrewAI's persistence, which SQLiteFlowPersistence allows, too."""

import contextvars
import copy
import pickle

import pytest

import keystile
from keystile.crewai import KeystileFlowPersistence


@pytest.fixture(params=["store", "durable"])
def persistence(request):
    return KeystileFlowPersistence(request.getfixturevalue(request.param))


def save(persistence, number):
    persistence.save_state("s", "m", {"id": "s", "a": number})


def copied(persistence):
    return copy.deepcopy(persistence)


def pickled(persistence):
    return pickle.loads(pickle.dumps(persistence))


@pytest.mark.parametrize("how", [copied, copy.copy, pickled, lambda one: one.model_copy(deep=True)])
def test_copies_of_one_that_was_used(persistence, how):
    save(persistence, 1)
    other = how(persistence)
    assert type(other) is KeystileFlowPersistence and other.url == persistence.url
    if how is pickled:  # as another process's
        with pytest.raises(keystile.Conflict):
            save(other, 2)
        other.load_state("s")
    else:
        contextvars.Context().run(save, other, 2)  # it knows what this process has made
    save(other, 3)
    assert persistence.load_state("s") == {"id": "s", "a": 3}
