from typing import Any, ClassVar
from uuid import UUID

import pytest
from pydantic import BaseModel

from chassis.saga.intents import Intents
from chassis.saga.steps import Steps
from chassis.saga.topology import Participant, definitions
from chassis.saga.tx import Tx


class Fact(BaseModel):
    version: ClassVar[int] = 1
    publisher: ClassVar[str] = "maker"
    id: UUID

    @property
    def subject(self) -> UUID:
        return self.id

    @property
    def about(self) -> UUID:
        return self.subject


class ThingMade(Fact):
    type: ClassVar[str] = "thing.made"


class ThingSold(Fact):
    type: ClassVar[str] = "thing.sold"


class ThingPaid(Fact):
    type: ClassVar[str] = "thing.paid"


def seller() -> Participant:
    steps = Steps("seller")
    intents = Intents()

    @steps.on(ThingMade, publishes=[ThingSold])
    async def sell(event: ThingMade, tx: Tx) -> None: ...

    @intents.on_outcome("charge", publishes=[ThingPaid])
    async def note(intent: object, outcome: object, tx: Tx) -> None: ...

    return Participant("seller", steps=[steps], intents=intents)


def only(document: dict[str, list[dict[str, Any]]], section: str, **match: str) -> dict[str, Any]:
    [found] = [entry for entry in document[section] if match.items() <= entry.items()]
    return found


def test_a_queue_is_bound_to_the_events_that_its_steps_consume() -> None:
    document = definitions([seller()])
    assert only(document, "bindings", source="events", destination="seller")["routing_key"] == "thing.made"


def test_a_service_may_publish_its_own_events_and_no_others() -> None:
    document = definitions([seller()])
    assert only(document, "topic_permissions", user="seller")["write"] == r"^(thing\.paid|thing\.sold)$"


def test_a_service_may_declare_nothing_and_read_only_its_queue() -> None:
    permission = only(definitions([seller()]), "permissions", user="seller")
    assert permission["configure"] == "^$"
    assert permission["read"] == "^(seller)$"
    assert permission["write"] == r"^(events|seller\.retry)$"


def test_every_queue_is_quorum_and_has_its_ladder_and_its_dead_letters() -> None:
    queues = {q["name"]: q["arguments"] for q in definitions([seller()])["queues"]}
    assert set(queues) == {"seller", "seller.retry.1s", "seller.retry.10s", "seller.retry.60s", "seller.dead"}
    assert all(arguments == {"x-queue-type": "quorum"} for arguments in queues.values())


def test_a_message_that_expires_on_the_ladder_returns_to_its_queue_at_least_once() -> None:
    policy = only(definitions([seller()]), "policies", name="seller.retry.10s")
    assert policy["pattern"] == r"^seller\.retry\.10s$"
    assert policy["definition"] == {
        "message-ttl": 10_000,
        "dead-letter-exchange": "",
        "dead-letter-routing-key": "seller",
        "dead-letter-strategy": "at-least-once",
        "overflow": "reject-publish",
        "max-length": 1_000_000,
        "max-length-bytes": 2_147_483_648,
    }


def test_every_queue_has_a_maximum_length() -> None:
    for policy in definitions([seller()])["policies"]:
        assert {"max-length", "max-length-bytes"} <= policy["definition"].keys()
        assert policy["definition"]["overflow"] == "reject-publish"


def test_no_password_is_in_the_document() -> None:
    assert only(definitions([seller()]), "users", name="seller")["password_hash"] == ""


def test_a_queue_has_one_step_for_an_event() -> None:
    steps = Steps("seller")

    @steps.on(ThingMade)
    async def sell(event: ThingMade, tx: Tx) -> None: ...

    with pytest.raises(ValueError, match=r"seller has a step for thing\.made v1 already"):
        steps.on(ThingMade)(sell)
