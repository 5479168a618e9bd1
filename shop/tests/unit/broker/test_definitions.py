"""Whatever the broker lacks, has too much or has otherwise is named; what belongs to it alone is not."""

import json
from copy import deepcopy
from typing import Any

import pytest

from shop.broker.checking import RESTORE, differs
from shop.broker.definitions import differences, surplus, with_live_passwords
from shop.broker.topology import moved_to, render
from shop.machine import project_root

DECLARED: dict[str, Any] = json.loads(
    (project_root() / "deploy" / "rabbitmq" / "definitions.json").read_text()
)
[WRITTEN_BY_AUTH] = [one["write"] for one in DECLARED["topic_permissions"] if one["user"] == "auth"]


@pytest.fixture
def live() -> dict[str, Any]:
    """A broker that is as it should be: with passwords, the operator's login, and things of its own."""
    rendered = deepcopy(render(DECLARED, "operator", str.upper))
    return rendered | {"rabbit_version": "3.10.8", "global_parameters": [], "parameters": []}


def named(live: dict[str, Any]) -> list[str]:
    return [str(one) for one in differences(DECLARED, live, operator="operator")]


def entry(live: dict[str, Any], kind: str, **wanted: str) -> dict[str, Any]:
    """The one that there is, to be changed."""
    found: dict[str, Any]
    [found] = [one for one in live[kind] if all(one[name] == value for name, value in wanted.items())]
    return found


def test_a_broker_that_is_as_declared_has_no_difference(live: dict[str, Any]) -> None:
    assert named(live) == []


@pytest.mark.parametrize(
    ("kind", "which", "says"),
    [
        (
            "bindings",
            {"destination": "notification", "routing_key": "order.paid"},
            "binding events → notification for order.paid is missing",
        ),
        ("queues", {"name": "payment.dead"}, "queue payment.dead is missing"),
        ("exchanges", {"name": "order.retry"}, "exchange order.retry is missing"),
        ("policies", {"name": "order.retry.10s"}, "policy order.retry.10s is missing"),
        ("permissions", {"user": "cart"}, "permission of cart is missing"),
        ("topic_permissions", {"user": "cart"}, "topic permission of cart on events is missing"),
        ("users", {"name": "auth"}, "user auth is missing"),
    ],
)
def test_what_is_missing_is_named(live: dict[str, Any], kind: str, which: dict[str, str], says: str) -> None:
    live[kind].remove(entry(live, kind, **which))
    assert named(live) == [says]


@pytest.mark.parametrize(
    ("kind", "which", "change", "says"),
    [
        (
            "queues",
            {"name": "order"},
            {"arguments": {"x-queue-type": "classic"}},
            "queue order is different: arguments is {'x-queue-type': 'classic'},"
            " not {'x-queue-type': 'quorum'}",
        ),
        (
            "queues",
            {"name": "order"},
            {"durable": False},
            "queue order is different: durable is False, not True",
        ),
        (
            "exchanges",
            {"name": "events"},
            {"type": "fanout"},
            "exchange events is different: type is 'fanout', not 'topic'",
        ),
        (
            "permissions",
            {"user": "cart"},
            {"configure": ".*"},
            "permission of cart is different: configure is '.*', not '^$'",
        ),
        (
            "topic_permissions",
            {"user": "auth"},
            {"write": ".*"},
            f"topic permission of auth on events is different: write is '.*', not {WRITTEN_BY_AUTH!r}",
        ),
        (
            "users",
            {"name": "cart"},
            {"tags": ["administrator"]},
            "user cart is different: tags is ['administrator'], not []",
        ),
        (
            "users",
            {"name": "cart"},
            {"limits": {}},
            "user cart is different: limits is {}, not {'max-connections': 100, 'max-channels': 500}",
        ),
        (
            "policies",
            {"name": "order.retry.1s"},
            {"pattern": "^nothing$"},
            r"policy order.retry.1s is different: pattern is '^nothing$', not '^order\\.retry\\.1s$'",
        ),
    ],
)
def test_what_is_different_says_how(
    live: dict[str, Any], kind: str, which: dict[str, str], change: dict[str, Any], says: str
) -> None:
    entry(live, kind, **which).update(change)
    assert named(live) == [says]


BINDING = {"source": "events", "vhost": "/", "destination_type": "queue", "arguments": {}}


@pytest.mark.parametrize(
    ("kind", "more", "says"),
    [
        (
            "bindings",
            BINDING | {"destination": "cart", "routing_key": "#"},
            "binding events → cart for # is not in the definitions",
        ),
        (
            "policies",
            {"vhost": "/", "name": "mine", "pattern": ".*", "definition": {"max-length": 1}, "priority": 9},
            "policy mine is not in the definitions",
        ),
        (
            "permissions",
            {"vhost": "/", "user": "guest", "configure": ".*", "write": ".*", "read": ".*"},
            "permission of guest is not in the definitions",
        ),
        (
            "topic_permissions",
            {"vhost": "/", "user": "auth", "exchange": "order.retry", "write": ".*", "read": ".*"},
            "topic permission of auth on order.retry is not in the definitions",
        ),
        ("users", {"name": "guest", "tags": "administrator"}, "user guest is not in the definitions"),
    ],
)
def test_what_nobody_declared_is_named_and_would_be_taken_away(
    live: dict[str, Any], kind: str, more: dict[str, Any], says: str
) -> None:
    live[kind].append(more)
    assert named(live) == [says]
    away = surplus(DECLARED, live, operator="operator")
    assert {name: entries for name, entries in away.items() if entries} == {kind: [more]}


def test_what_changes_nothing_for_anybody_is_left_alone(live: dict[str, Any]) -> None:
    """An old service's queue, a user that only reads figures, another virtual host."""
    live["queues"].append({"vhost": "/", "name": "renamed", "durable": True, "arguments": {}})
    live["exchanges"].append({"vhost": "/", "name": "renamed.retry", "type": "direct"})
    live["users"].append({"name": "prometheus", "tags": ["monitoring"]})
    live["users"].append({"name": "somebody", "tags": ""})
    for kind, entries in moved_to("another", DECLARED).items():
        if kind not in ("users", "vhosts"):
            live[kind] += entries
    assert named(live) == []
    assert not any(surplus(DECLARED, live, operator="operator").values())


def test_a_user_and_its_tags_may_be_written_in_the_old_way(live: dict[str, Any]) -> None:
    entry(live, "users", name="cart").update(tags="")
    assert named(live) == []


def test_an_operator_is_told_what_to_do(live: dict[str, Any]) -> None:
    live["policies"].clear()
    issues = differs(DECLARED, live, operator="operator")
    assert len(issues) == len(DECLARED["policies"])
    assert {(issue.kind, issue.next) for issue in issues} == {("broker-differs", RESTORE)}


def test_passwords_stay_when_definitions_are_imported_anew(live: dict[str, Any]) -> None:
    imported = with_live_passwords(DECLARED, live)
    assert entry(imported, "users", name="cart") == entry(live, "users", name="cart")
    assert {**imported, "users": None} == {**DECLARED, "users": None}


def test_a_user_whose_password_is_gone_is_named(live: dict[str, Any]) -> None:
    live["users"].remove(entry(live, "users", name="cart"))
    with pytest.raises(LookupError, match=r"^cart$"):
        with_live_passwords(DECLARED, live)
