"""The command line on the whole shop."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

from devstack import Stack
from shop.cli import app
from shop.errors import ShopError

Run = Callable[..., tuple[int, Any]]


@pytest.fixture
def run(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run("saga", "list")`: the exit code and the JSON of a command. Raises its ShopError."""
    monkeypatch.setenv("SHOP_STACK", str(stack.folder))

    def invoke(*arguments: str) -> tuple[int, Any]:
        result = CliRunner().invoke(app, [*arguments, "--json"])
        if isinstance(result.exception, ShopError):
            raise result.exception
        return result.exit_code, json.loads(result.stdout)

    return invoke
