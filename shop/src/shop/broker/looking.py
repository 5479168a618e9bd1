"""Checking a broker over its management API, without changing anything."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx

from shop.broker.conditions import Figures, conditions
from shop.broker.definitions import differs
from shop.broker.issue import BrokerIssue
from shop.broker.topology import Definitions
from shop.errors import ShopError
from shop.management import Management
from shop.project import project_root
from shop.targets import Target, management, operator_of

DEFINITIONS = Path("deploy/rabbitmq/definitions.json")


def declared(target: Target, file: Path | None = None) -> Definitions:
    """The broker's definitions: `file`, else a stack's own, else the one in the image or the clone.

    Raises ShopError when it cannot be read."""
    file = file or target.topology or (DEFINITIONS if DEFINITIONS.exists() else project_root() / DEFINITIONS)
    try:
        found: Definitions = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise ShopError(f"{file} cannot be read: {error}") from error
    return found


async def look(target: Target, definitions: Definitions) -> list[BrokerIssue]:
    """Everything that is wrong. Raises ShopError when the broker does not answer."""
    issues, _ = await look_closely(target, definitions)
    return issues


async def look_closely(target: Target, definitions: Definitions) -> tuple[list[BrokerIssue], Figures]:
    """The same, and the figures."""
    live, figures = await ask(target)
    return [*differs(definitions, live, operator=operator_of(target)), *conditions(figures)], figures


async def ask(target: Target) -> tuple[Definitions, Figures]:
    """The live definitions and the broker's figures. Raises ShopError when it does not answer."""
    try:
        async with management(target) as broker:
            live, alarms, nodes, connections, queues = await asyncio.gather(
                broker.get("definitions"),
                _alarms(broker),
                broker.get("nodes"),
                broker.get("connections"),
                broker.get("queues"),
            )
    except (httpx.HTTPError, ShopError) as error:
        raise ShopError(
            f"RabbitMQ does not answer ({error or type(error).__name__}): see `shop status`"
        ) from error
    return live, Figures(alarms, nodes, connections, queues)


async def _alarms(broker: Management) -> list[dict[str, Any]]:
    """As a health check, which knows of an alarm at once: the nodes' statistics are seconds old."""
    answer = await broker.health("alarms")
    alarms: list[dict[str, Any]] = answer.get("alarms", [])
    return alarms
