"""Which caller gets which status from which endpoint: table.yml, tried on a running shop."""

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from fastapi.routing import iter_route_contexts

from chassis.runtime.service import Service
from devstack import Stack, environment
from shop.targets import SERVICES
from tests.rights.asking import answer, operation
from tests.rights.world import WRONG, World

TABLE: Mapping[str, Any] = yaml.safe_load(Path(__file__).with_name("table.yml").read_text())
COLUMNS: Sequence[str] = TABLE["columns"]
ROWS = [(service, row) for service in SERVICES for row in (TABLE[service] or {})]
EVERYWHERE = [(service, row) for service in SERVICES for row in TABLE["everywhere"]]


@pytest.mark.parametrize(("service", "row"), ROWS, ids=lambda text: str(text))
def test_each_caller_gets_the_status_of_the_table(service: str, row: str, world: World) -> None:
    _look(world, service, row, TABLE[service][row])


@pytest.mark.parametrize(("service", "row"), EVERYWHERE, ids=lambda text: str(text))
def test_endpoints_that_every_service_has_give_the_status_of_the_table(
    service: str, row: str, world: World
) -> None:
    _look(world, service, row, TABLE["everywhere"][row])


def _look(world: World, service: str, row: str, expected: Sequence[int]) -> None:
    seen = {who: answer(world, service, row, world.token(who)) for who in COLUMNS}
    assert seen == dict(zip(COLUMNS, expected, strict=True))


@pytest.mark.parametrize("service", SERVICES)
def test_every_endpoint_has_its_row_and_every_row_its_endpoint(service: str, stack: Stack) -> None:
    document = httpx.get(f"{stack.http(service)}/openapi.json", timeout=30).raise_for_status().json()
    documented = {
        f"{method.upper()} {path}" for path, operations in document["paths"].items() for method in operations
    }
    assert documented == {operation(row) for row in TABLE[service]}


@pytest.mark.parametrize("service", SERVICES)
def test_every_served_endpoint_is_in_the_table(
    service: str, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.of(stack, service).items():
        monkeypatch.setenv(name, value)
    declared: Service[Any] = importlib.import_module(f"{service}.main").service
    served = {
        f"{method} {route.path}"
        for route in iter_route_contexts(declared.app(declared.settings()).routes)
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert served == {operation(row) for row in (*TABLE[service], *TABLE["everywhere"])}


def test_the_table_has_every_kind_of_invalid_token() -> None:
    assert ["anonymous", "guest", "shopper", "another", "admin", *WRONG] == COLUMNS
