"""Checking a broker over its management API, without changing anything: definitions, alarms, limits."""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from shop.broker.definitions import differences
from shop.broker.topology import Definitions
from shop.errors import ShopError
from shop.http import management, operator_of
from shop.machine import project_root
from shop.targets import Target

RESTORE = "shop broker restore --why TEXT"


@dataclass(frozen=True)
class BrokerIssue:
    """`next` is the command that helps, or that shows more."""

    kind: str
    means: str
    next: str


def unreachable(error: Exception) -> BrokerIssue:
    """Nothing is known of it."""
    return BrokerIssue("broker-unreachable", str(error), "shop status")


NEARLY_FULL = 0.8  # of a queue's limit: from there on somebody should act

Entry = Mapping[str, Any]
_NODES = "shop status; shop logs rabbitmq"


@dataclass(frozen=True)
class Figures:
    """From the management API: `alarms` are current, the rest is seconds old."""

    alarms: Sequence[Entry] = ()
    nodes: Sequence[Entry] = ()
    connections: Sequence[Entry] = ()
    queues: Sequence[Entry] = ()


def conditions(figures: Figures) -> list[BrokerIssue]:
    """Everything that blocks messages, or soon will."""
    return [*_alarms(figures), *_nodes(figures), *_blocked(figures), *_nearly_full(figures)]


def dead_letters(figures: Figures) -> dict[str, int]:
    """The number of messages in each dead-letter queue."""
    return {
        queue["name"]: queue.get("messages", 0) for queue in figures.queues if queue["name"].endswith(".dead")
    }


def _alarms(figures: Figures) -> Iterator[BrokerIssue]:
    for alarm in figures.alarms:
        what = f"{alarm['resource']} alarm on {alarm['node']}"
        means = f"{what}: the broker blocks publishers until the alarm clears"
        yield BrokerIssue("broker-alarm", means, _NODES)


def _nodes(figures: Figures) -> Iterator[BrokerIssue]:
    for node in figures.nodes:
        if not node.get("running"):
            yield BrokerIssue("node-down", f"node {node['name']} of the broker is down", _NODES)
        if partitions := node.get("partitions"):
            means = f"node {node['name']} is partitioned from {', '.join(partitions)}"
            yield BrokerIssue("broker-partitioned", means, _NODES)


def _blocked(figures: Figures) -> Iterator[BrokerIssue]:
    for one in figures.connections:
        if one.get("state") in ("blocked", "blocking"):
            name = one.get("user_provided_name") or one.get("name")
            means = f"the broker blocks connection {name!r} of {one.get('user')}: {one['state']}"
            yield BrokerIssue("connection-blocked", means, _NODES)


def _nearly_full(figures: Figures) -> Iterator[BrokerIssue]:
    for queue in figures.queues:
        policy = queue.get("effective_policy_definition") or {}
        for limit, used, unit in (
            ("max-length", "messages", "messages"),
            ("max-length-bytes", "message_bytes", "bytes"),
        ):
            most, there = policy.get(limit), queue.get(used, 0)
            if most and there >= NEARLY_FULL * most:
                means = f"queue {queue['name']} holds {there} of at most {most} {unit}"
                owner = queue["name"].partition(".")[0]
                logs, letters = f"shop logs {owner}", f"shop dead-letters list --service {owner}"
                following = letters if queue["name"].endswith(".dead") else logs
                yield BrokerIssue("queue-nearly-full", means, following)


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


def differs(declared: Definitions, live: Definitions, *, operator: str) -> list[BrokerIssue]:
    """How the broker differs from its definitions."""
    found = differences(declared, live, operator=operator)
    return [BrokerIssue("broker-differs", str(one), RESTORE) for one in found]


async def check(target: Target, definitions: Definitions) -> tuple[list[BrokerIssue], Figures]:
    """Everything that is wrong, and the figures. Raises ShopError when the broker does not answer."""
    live, figures = await read(target)
    return [*differs(definitions, live, operator=operator_of(target)), *conditions(figures)], figures


async def read(target: Target) -> tuple[Definitions, Figures]:
    """The live definitions and the broker's figures. Raises ShopError when it does not answer."""
    try:
        async with management(target) as broker:
            live, alarms, nodes, connections, queues = await asyncio.gather(
                broker.get("definitions"),
                # As a health check, which knows of an alarm at once: the nodes' statistics are seconds old.
                broker.health("alarms"),
                broker.get("nodes"),
                broker.get("connections"),
                broker.get("queues"),
            )
    except (httpx.HTTPError, ShopError) as error:
        raise ShopError(
            f"RabbitMQ does not answer ({error or type(error).__name__}): see `shop status`"
        ) from error
    return live, Figures(alarms.get("alarms", []), nodes, connections, queues)
