from collections.abc import Iterator

import httpx
import pytest

from devstack import Stack
from tests.rights.world import World


@pytest.fixture(scope="module")  # a rotation ends tokens
def world(stack: Stack) -> Iterator[World]:
    """The running shop, with somebody of every role in it."""
    with httpx.Client(timeout=30) as http:
        yield World(stack, http)
