"""The previous release and today's code side by side: each can read the events that the other publishes."""

import json
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

from contracts.schema import committed
from tests.upgrade import peer
from tests.upgrade.documents import examples
from tests.upgrade.released import ROOT, SCHEMAS, Release

EACH = 40
ORDER = "6f6b5b1e-0000-4000-8000-000000000001"


def documents(schemas: dict[str, Any], known: dict[str, Any]) -> list[dict[str, Any]]:
    """Events of every type that both releases know, valid under the speaker's schemas."""
    return [
        {"type": name.removesuffix(".v1.json"), "data": document}
        for name in sorted(schemas.keys() & known.keys())
        for document in examples(schemas[name], EACH)
    ]


def test_the_previous_release_consumes_todays_events(release: Release) -> None:
    today = committed(ROOT / SCHEMAS)
    spoken = peer.speak(documents(today, release.schemas))
    assert len(spoken) > 10 * EACH
    for message in spoken:
        schema = release.schemas[f"{message['type']}.v1.json"]
        Draft202012Validator(schema, format_checker=FormatChecker()).validate(json.loads(message["body"]))
    assert release.does("failures", spoken) == []


def test_the_previous_release_consumes_a_free_orders_events(release: Release) -> None:
    """What an order comes to has always been 0 or more, and a payment's id and method are any text."""
    nothing = {"amount": 0, "currency": "GBP"}
    about = {"order_id": ORDER, "total": nothing, "contact": "sealed", "number": "K7Q2X-9XMDA"}
    line = {"sku": "SAMPLE", "name": "Sample", "quantity": 1, "unit_price": 0}
    order = about | {"shopper_id": ORDER, "lines": [line]}
    free = {"payment_id": f"free_{ORDER}"}
    spoken = peer.speak(
        [
            {
                "type": "order.created",
                "data": order | {"payment_method": "", "deadline": "2026-01-01T12:00:00Z"},
            },
            {"type": "order.paid", "data": order | free},
            {"type": "order.cancelled", "data": order | {"reason": "shopper", "was_paid": True}},
            {"type": "payment.refunded", "data": about | free},
        ]
    )
    assert len(spoken) == 4
    assert release.does("failures", spoken) == []


def test_today_consumes_the_previous_releases_events(release: Release) -> None:
    spoken = release.does("speak", documents(release.schemas, committed(ROOT / SCHEMAS)))
    assert len(spoken) > 10 * EACH
    assert peer.failures(spoken) == []


BRIEF = {"name": "Ada", "street": "1 Main St", "city": "Hull", "postcode": "HU1", "country": "GB"}


def test_each_release_reads_the_addresses_that_the_other_stores(release: Release) -> None:
    """What the previous release does not know it leaves out; a missing postcode is text for it, too."""
    more = {"company": "Engines", "line2": "Floor 3", "state": "Yorks", "phone": "01904", "vat_id": "GB1"}
    full = {**BRIEF, **more}
    without_postcode = {**BRIEF, "postcode": "", "country": "HK", **dict.fromkeys(more, "")}
    assert peer.addresses([full, without_postcode, BRIEF]) == [
        full,
        without_postcode,
        {**BRIEF, **dict.fromkeys(more, "")},
    ]
    assert release.does("addresses", [full, without_postcode]) == [
        BRIEF,
        {**BRIEF, "postcode": "", "country": "HK"},
    ]


def test_an_event_that_the_previous_release_cannot_read_is_found(release: Release) -> None:
    [message] = peer.speak([{"type": "stock.released", "data": {"order_id": ORDER, "restocked": True}}])
    renamed = message["body"].replace("restocked", "is_restocked")
    [failure] = release.does("failures", [{**message, "body": renamed}])[:1]
    assert "restocked" in failure
