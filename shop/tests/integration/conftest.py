"""The command line, on the whole shop or on one that the environment names."""

import json
import os
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

from devstack import Stack
from shop.cli import app
from shop.errors import ShopError

Run = Callable[..., tuple[int, Any]]
Tell = Callable[..., None]


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


@pytest.fixture
def tell(monkeypatch: pytest.MonkeyPatch) -> Tell:
    """`tell(URL="http://kong:8000")`: the environment says SHOP_URL; of all else it says nothing."""
    for name in [name for name in os.environ if name.startswith("SHOP_")]:
        monkeypatch.delenv(name)

    def tell(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(f"SHOP_{name}", value)

    return tell
