import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from rich.console import Console, RenderableType

from contracts import OrderCancelled
from shop.audit.trail import Entry
from shop.dead_letters.deliveries import Listing
from shop.dead_letters.rendering import (
    advise,
    document,
    readable,
    render_details,
    render_difference,
    render_list,
    render_preview,
)
from shop.dead_letters.session import Action
from shop.terminal import json_default

from ...conftest import dead_letter

ORDER = "6f6b0000-0000-0000-0000-000000000001"
CANCELLED = dead_letter(
    queue="product",
    type=OrderCancelled.type,
    headers={
        **dead_letter().headers,
        "cloudEvents:type": OrderCancelled.type,
        "failed-step": "release_stock",
    },
)


def printed(what: RenderableType) -> str:
    out = StringIO()
    Console(file=out, width=100).print(what)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def entry(**differing: Any) -> Entry:
    usual = {
        "id": 1,
        "at": datetime.now(UTC) - timedelta(minutes=5),
        "ended_at": None,
        "who": "ada@desk",
        "state": "done",
        "error": None,
        "action": "replay",
        "why": "mended",
        "letter_id": "earlier",
        "before": dead_letter().document(),
    }
    return Entry(**{**usual, **differing})


def test_a_dead_letter_is_listed_with_its_event_order_step_reason_attempts_and_age() -> None:
    an_hour = (datetime.now(UTC) - timedelta(hours=1, minutes=5)).isoformat()
    one = dead_letter(headers={**dead_letter().headers, "first-seen": an_hour, "attempts": 4})
    _, head, line, reason = printed(render_list(Listing((one,), {}), {one.id: []})).splitlines()
    assert head == "payment.dead: 1 dead letter"
    assert line.split() == [one.id[:8], "order.created", "decode", "4×", "1", "h", ORDER]
    assert reason.strip() == "total: Input should be an object"


def test_every_line_fits_a_hundred_columns() -> None:
    one = dead_letter(
        type="payment.authorized",
        headers={
            **dead_letter().headers,
            "cloudEvents:type": "payment.authorized",
            "failed-step": "cancel_declined_order",
        },
    )
    text = printed(render_list(Listing((one,), {}), {one.id: []}))
    assert [line for line in text.splitlines() if ORDER in line and "cancel_declined_order" in line]


def test_earlier_failures_are_listed() -> None:
    one = dead_letter()
    text = printed(
        render_list(Listing((one,), {}), {one.id: [entry(), entry(action="discard"), entry(state="failed")]})
    )
    assert "dead-lettered before: 1×, last replayed 5 min ago by ada@desk, “mended”" in text


def test_an_action_in_progress_is_listed_with_its_operator() -> None:
    one = dead_letter()
    text = printed(render_list(Listing((one,), {}), {one.id: [entry(letter_id=one.id, state="begun")]}))
    assert "replay begun by ada@desk: the next command finishes it" in text
    assert "dead-lettered before" not in text


def test_the_number_beyond_the_limit_is_printed() -> None:
    text = printed(render_list(Listing((dead_letter(),), {"payment": 41}), {dead_letter().id: []}))
    assert "payment.dead: 1 dead letter, 41 more beyond the limit" in text


def test_an_empty_list_says_so() -> None:
    assert printed(render_list(Listing((), {}), {})) == "no dead letters"


def test_a_dead_letter_is_shown_with_headers_body_and_history() -> None:
    text = printed(render_details(dead_letter(), [entry()]))
    assert 'failed-step: "decode"' in text
    assert '"total": null' in text
    assert (
        "replayed by ada@desk, “mended”; it had failed at decode: total: Input should be an object"
        in " ".join(text.split())
    )


def test_control_characters_do_not_reach_the_terminal() -> None:
    evil = "\x1b]0;owned\x07\x9b2J"
    one = dead_letter(body=evil.encode(), type=evil, headers={"error": evil, evil: evil, "failed-step": evil})
    for what in (
        render_list(Listing((one,), {}), {one.id: []}),
        render_details(one, [entry(why=evil)]),
        render_preview([Action.replay(one)]),
    ):
        assert not set(printed(what)) & {"\x1b", "\x07", "\x9b"}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"a":[1,2]}', '{\n  "a": [\n    1,\n    2\n  ]\n}'),
        (b'{"a":', '{"a":'),
        (b"\xff\0\x01", "ff 00 01"),
        ('{"a": "ä\\u009b"}'.encode(), '{\n  "a": "ä\\x9b"\n}'),
    ],
)
def test_any_body_is_rendered_readably(body: bytes, text: str) -> None:
    assert readable(body) == text


def test_a_huge_body_is_truncated_but_its_diff_is_complete() -> None:
    before, after = (dead_letter(body=b"x" * 20_000 + b"\n" + end) for end in (b"before", b"after"))
    assert "… 4007 more characters: --json prints them all" in printed(render_details(before, []))
    assert "+after" in printed(render_difference(before, after))


@pytest.mark.parametrize(
    ("one", "advice"),
    [
        (dead_letter(), "The service cannot decode it: edit it"),
        (
            dead_letter(headers={**dead_letter().headers, "failed-step": "authorize_payment"}),
            "see `shop logs payment`",
        ),
        (dead_letter(queue="cart"), "cart has no step for order.created"),
        (
            dead_letter(headers={"x-death": [{"reason": "delivery_limit"}]}),
            "payment crashed at each delivery",
        ),
        (
            CANCELLED,
            "It compensates reserve_stock, which stays in effect if it is discarded;"
            f" `shop saga nudge {ORDER} --why TEXT` republishes it.",
        ),
    ],
)
def test_advice_fits_the_failure(one: Any, advice: str) -> None:
    assert advice in " ".join(advise(one))


def test_a_replay_is_previewed_with_what_the_step_will_do() -> None:
    failed = dead_letter(headers={**dead_letter().headers, "failed-step": "authorize_payment"})
    text = " ".join(printed(render_preview([Action.replay(failed)])).split())
    assert text.startswith(f"{failed.id[:8]} order.created → payment, authorize_payment: Authorize the")


def test_a_replay_of_an_undecodable_message_is_warned_of() -> None:
    assert "could not decode it: it fails again" in printed(render_preview([Action.replay(dead_letter())]))


def test_discarding_a_compensation_is_warned_of() -> None:
    assert "It compensates reserve_stock" in printed(render_preview([Action.discard(CANCELLED)]))
    assert "compensates" not in printed(render_preview([Action.discard(dead_letter())]))


def test_a_long_preview_is_truncated() -> None:
    assert printed(render_preview([Action.replay(dead_letter())] * 25)).endswith("… and 5 more")


def test_an_edit_is_shown_as_a_difference() -> None:
    after = dead_letter(body=b'{"total": 5}').as_published()
    text = printed(render_difference(dead_letter(body=b'{"total": 4}').as_published(), after))
    assert '-  "total": 4' in text
    assert '+  "total": 5' in text


def test_the_json_document_has_the_same() -> None:
    shown = json.loads(json.dumps(document(CANCELLED, [entry()]), default=json_default))
    assert (shown["queue"], shown["order_id"], shown["failed_step"]) == ("product", ORDER, "release_stock")
    assert (shown["step"], shown["compensates"], shown["died_before"]) == (
        "release_stock",
        "reserve_stock",
        1,
    )
    assert shown["message"]["headers"]["attempts"] == 1
    assert shown["history"][0]["who"] == "ada@desk"
