"""Fixtures: a store of its own for each test, volatile or durable."""

import itertools
import os

import pytest

import keystile

_numbers = itertools.count()


@pytest.fixture
def url():
    """A volatile store's URL; the store is removed afterwards, whoever made it."""
    name = f"shm:pytest.{os.getpid()}.{next(_numbers)}"
    yield name
    try:
        keystile.destroy(name, force=True)
    except keystile.NoStoreError:
        pass


@pytest.fixture
def store(url):
    with keystile.open(url) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path):
    """A durable store's URL."""
    name = f"file:{tmp_path}/store"
    yield name
    try:
        keystile.destroy(name, force=True)
    except keystile.NoStoreError:
        pass


@pytest.fixture
def durable(folder):
    with keystile.open(folder, durable=True) as opened:
        yield opened
