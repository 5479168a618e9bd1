"""The condition of a broker: alarms, nodes, blocked connections, queues that are nearly full."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shop.broker.issue import BrokerIssue

NEARLY_FULL = 0.8  # of a queue's limit: from there on somebody should look

Entry = Mapping[str, Any]
_NODES = "shop status; shop logs rabbitmq"


@dataclass(frozen=True)
class Figures:
    """From the management API: `alarms` are current, the rest is seconds old."""

    alarms: Sequence[Entry] = ()
    nodes: Sequence[Entry] = ()
    connections: Sequence[Entry] = ()
    queues: Sequence[Entry] = field(default_factory=tuple)


def conditions(figures: Figures) -> list[BrokerIssue]:
    """Everything that blocks messages, or soon will."""
    return [
        *_alarms(figures),
        *_nodes(figures),
        *_blocked(figures),
        *_nearly_full(figures),
    ]


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
                yield BrokerIssue("queue-nearly-full", means, _following(queue["name"]))


def _following(queue: str) -> str:
    owner = queue.partition(".")[0]
    return f"shop dead-letters list --service {owner}" if queue.endswith(".dead") else f"shop logs {owner}"
