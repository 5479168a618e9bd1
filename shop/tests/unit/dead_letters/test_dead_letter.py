import base64
import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from shop.dead_letters.dead_letter import body_of

from ...conftest import dead_letter

ORDER = "6f6b0000-0000-0000-0000-000000000001"


def test_an_id_depends_on_queue_message_and_failure() -> None:
    others = [
        dead_letter(queue="product"),
        dead_letter(body=b"other"),
        dead_letter(message_id="other"),
        dead_letter(headers={**dead_letter().headers, "first-seen": "2026-01-02T00:00:00+00:00"}),
        dead_letter(headers={**dead_letter().headers, "attempts": 4}),
    ]
    assert len({dead_letter().id, *(other.id for other in others)}) == 1 + len(others)
    assert dead_letter(headers={**dead_letter().headers, "x-delivery-count": 7}).id == dead_letter().id


def test_the_order_is_found_in_the_body_first_then_in_the_subject() -> None:
    nudge = dead_letter(
        body=json.dumps({"order_id": ORDER}).encode(), headers={"cloudEvents:subject": str(ORDER)[:-1] + "2"}
    )
    assert nudge.order_id == ORDER
    assert dead_letter(body=b"{").order_id == ORDER
    assert dead_letter(body=b"{", headers={"cloudEvents:subject": 5}).order_id is None
    assert dead_letter(body=b'{"order_id": "no id"}', headers={}).order_id is None


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 200_000, b'"text"', b"5"])
def test_a_body_without_an_order_id_has_none(body: bytes) -> None:
    assert dead_letter(body=body, headers={}).order_id is None


@pytest.mark.parametrize("odd", ["many", -1.5, None, [3]])
def test_an_invalid_failure_header_does_not_hide_the_dead_letter(odd: object) -> None:
    one = dead_letter(headers={"attempts": odd, "first-seen": odd, "error": 5, "failed-step": 5})
    assert (one.attempts, one.first_failed_at, one.failed_step) == (1, None, None)
    assert one.reason == "dead-lettered by the broker: no reason given"


def test_a_first_failure_without_a_zone_is_in_utc() -> None:
    one = dead_letter(headers={"first-seen": "2026-01-01T00:00:00"})
    assert one.first_failed_at == datetime(2026, 1, 1, tzinfo=UTC)


def test_a_replay_has_no_failure_headers_and_no_cc() -> None:
    stamped = dead_letter(
        headers={**dead_letter().headers, "x-death": [{}], "x-delivery-count": 3, "CC": ["order"]}
    )
    assert {name.partition(":")[0] for name in stamped.as_published().headers} == {"cloudEvents"}
    assert stamped.as_published().body == stamped.body


@pytest.mark.parametrize(
    "body", [b'{"a": "b"}', "täxt".encode(), b"\xff\xfe", b"a\0b", b"", b'{"a": "\\u0000"}']
)
def test_a_body_is_kept_to_the_byte(body: bytes) -> None:
    document = dead_letter(body=body).document()
    assert body_of(json.loads(json.dumps(document))) == body
    assert "\0" not in document.get("body", "")


def test_odd_headers_become_json_that_postgresql_takes() -> None:
    odd = {
        "nul": "a\0b",
        "bytes": b"\xff",
        "nan": float("nan"),
        "deep": [{"when": datetime(2026, 1, 1, tzinfo=UTC)}],
    }
    headers = dead_letter(headers={**odd, "price": Decimal("1.50")}).document()["headers"]
    assert headers == {
        "nul": "a\N{SYMBOL FOR NULL}b",
        "bytes": "ff",
        "nan": "nan",
        "deep": [{"when": "2026-01-01T00:00:00+00:00"}],
        "price": "1.50",
    }


def test_a_binary_body_is_base64() -> None:
    assert dead_letter(body=b"\xff").document()["body_base64"] == base64.b64encode(b"\xff").decode()


def test_the_key_is_made_of_type_and_subject_not_of_the_claimed_id() -> None:
    forged = dead_letter(headers={**dead_letter().headers, "cloudEvents:id": f"order.cancelled/{ORDER}"})
    assert forged.key == forged.as_published().message_id == f"order.created/{ORDER}"


@pytest.mark.parametrize(("user", "source"), [("product", "/product"), (None, "/order")])
def test_the_source_of_a_message_that_the_broker_dead_lettered_is_its_publisher(
    user: str | None, source: str
) -> None:
    """Or, where the broker has authenticated no user, the publisher of such events, never what it claims."""
    said = {name: value for name, value in dead_letter().headers.items() if name.startswith("cloudEvents:")}
    death = {"x-death": [{"reason": "delivery_limit", "queue": "payment", "exchange": "events"}]}
    lie = dead_letter(headers={**said, **death, "cloudEvents:source": "/auth"}, user_id=user)
    assert lie.as_published().headers["cloudEvents:source"] == source
    assert lie.as_published().to_message().user_id is None, "the broker would refuse it from us"


def test_the_source_of_a_message_that_a_service_dead_lettered_is_kept() -> None:
    assert dead_letter().as_published().headers["cloudEvents:source"] == "/order"
    again = {"x-death": [{"reason": "delivery_limit", "queue": "payment", "exchange": ""}]}
    assert (
        dead_letter(headers={**dead_letter().headers, **again}).as_published().headers["cloudEvents:source"]
        == "/order"
    )
