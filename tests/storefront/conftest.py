"""A guest of the private shop."""

from collections.abc import AsyncIterator

import httpx
import pytest

from devstack import Stack
from tests.storefront.guest import Guest


@pytest.fixture
async def guest(stack: Stack) -> AsyncIterator[Guest]:
    async with httpx.AsyncClient(base_url=stack.gateway_url, timeout=30) as http:
        yield Guest(http)
