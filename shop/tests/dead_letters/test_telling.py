from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from rich.console import Console, RenderableType

from contracts import OrderCancelled
from shop.audit.trail import Entry
from shop.dead_letters.desk import Deed
from shop.dead_letters.holding import Seen
from shop.dead_letters.telling import advice, difference, document, listed, preview, readable, shown

from .conftest import letter

ORDER = "6f6b0000-0000-0000-0000-000000000001"
CANCELLED = letter(
    queue="product",
    type=OrderCancelled.type,
    headers={**letter().headers, "cloudEvents:type": OrderCancelled.type, "failed-step": "release_stock"},
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
        "before": letter().document(),
    }
    return Entry(**{**usual, **differing})


def test_a_letter_is_listed_with_its_event_order_step_reason_attempts_and_age() -> None:
    an_hour = (datetime.now(UTC) - timedelta(hours=1, minutes=5)).isoformat()
    one = letter(headers={**letter().headers, "first-seen": an_hour, "attempts": 4})
    _, head, line, reason = printed(listed(Seen((one,), {}), {one.id: []})).splitlines()
    assert head == "payment.dead: 1 letter"
    assert line.split() == [one.id[:8], "order.created", "decode", "4×", "1", "h", ORDER]
    assert reason.strip() == "total: Input should be an object"


def test_every_line_fits_a_hundred_columns() -> None:
    one = letter(
        type="payment.authorized",
        headers={
            **letter().headers,
            "cloudEvents:type": "payment.authorized",
            "failed-step": "cancel_declined_order",
        },
    )
    text = printed(listed(Seen((one,), {}), {one.id: []}))
    assert [line for line in text.splitlines() if ORDER in line and "cancel_declined_order" in line]


def test_a_message_that_died_again_says_so() -> None:
    one = letter()
    text = printed(
        listed(Seen((one,), {}), {one.id: [entry(), entry(action="discard"), entry(state="failed")]})
    )
    assert "died before: 1×, last replayed 5 min ago by ada@desk, “mended”" in text


def test_a_letter_in_hand_says_whose() -> None:
    one = letter()
    text = printed(listed(Seen((one,), {}), {one.id: [entry(letter_id=one.id, state="begun")]}))
    assert "replay begun by ada@desk: the next action finishes it" in text
    assert "died before" not in text


def test_what_is_beyond_the_limit_is_said() -> None:
    text = printed(listed(Seen((letter(),), {"payment": 41}), {letter().id: []}))
    assert "payment.dead: 1 letter, 41 more beyond the limit" in text


def test_no_letters_are_said_to_be_none() -> None:
    assert printed(listed(Seen((), {}), {})) == "no dead letters"


def test_a_letter_is_shown_with_headers_body_and_history() -> None:
    text = printed(shown(letter(), [entry()]))
    assert 'failed-step: "decode"' in text
    assert '"total": null' in text
    assert (
        "replayed by ada@desk, “mended”; it had died at decode: total: Input should be an object"
        in " ".join(text.split())
    )


def test_what_others_wrote_does_not_talk_to_the_terminal() -> None:
    evil = "\x1b]0;owned\x07\x9b2J"
    one = letter(body=evil.encode(), type=evil, headers={"error": evil, evil: evil, "failed-step": evil})
    for what in (
        listed(Seen((one,), {}), {one.id: []}),
        shown(one, [entry(why=evil)]),
        preview([Deed.replay(one)]),
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
def test_a_body_can_be_read_whatever_it_is(body: bytes, text: str) -> None:
    assert readable(body) == text


def test_a_huge_body_is_cut_and_says_so_but_an_edit_is_shown_wherever_it_is() -> None:
    before, after = (letter(body=b"x" * 20_000 + b"\n" + end) for end in (b"before", b"after"))
    assert "… 4007 signs more: --json has them all" in printed(shown(before, []))
    assert "+after" in printed(difference(before, after))


@pytest.mark.parametrize(
    ("one", "told"),
    [
        (letter(), "Nobody can read it as it is: edit it"),
        (letter(headers={**letter().headers, "failed-step": "authorize_payment"}), "see `shop logs payment`"),
        (letter(queue="cart"), "cart has no step for order.created"),
        (
            letter(headers={"x-death": [{"reason": "delivery_limit"}]}),
            "payment ended with it in hand each time",
        ),
        (CANCELLED, f"It undoes reserve_stock: discarded, that stays done; `shop saga nudge {ORDER}`"),
    ],
)
def test_it_says_what_helps(one: Any, told: str) -> None:
    assert told in " ".join(advice(one))


def test_a_replay_is_previewed_with_what_the_step_will_do() -> None:
    failed = letter(headers={**letter().headers, "failed-step": "authorize_payment"})
    text = " ".join(printed(preview([Deed.replay(failed)])).split())
    assert text.startswith(f"{failed.id[:8]} order.created → payment, authorize_payment: Hold the money")


def test_a_replay_of_what_could_not_be_read_is_warned_of() -> None:
    assert "could not read it: it dies again" in printed(preview([Deed.replay(letter())]))


def test_discarding_a_compensation_is_warned_of() -> None:
    assert "It undoes reserve_stock" in printed(preview([Deed.discard(CANCELLED)]))
    assert "undoes" not in printed(preview([Deed.discard(letter())]))


def test_a_long_preview_is_cut_and_says_so() -> None:
    assert printed(preview([Deed.replay(letter())] * 25)).endswith("… and 5 more")


def test_an_edit_is_shown_as_a_difference() -> None:
    after = letter(body=b'{"total": 5}').fresh()
    text = printed(difference(letter(body=b'{"total": 4}').fresh(), after))
    assert '-  "total": 4' in text
    assert '+  "total": 5' in text


def test_a_script_reads_the_same() -> None:
    told = document(CANCELLED, [entry()])
    assert (told["queue"], told["order_id"], told["failed_step"]) == ("product", ORDER, "release_stock")
    assert (told["step"], told["compensates"], told["died_before"]) == ("release_stock", "reserve_stock", 1)
    assert told["message"]["headers"]["attempts"] == 1
    assert told["history"][0]["who"] == "ada@desk"
