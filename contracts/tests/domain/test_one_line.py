"""Names are one line, without breaks, hidden characters or changes of direction."""

from unicodedata import category
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import Line, Money, OrderPaid, cleaned
from contracts.text import one_line

REFUSED = {
    "line feed": "\n",
    "carriage return": "\r",
    "tab": "\t",
    "next line": "\x85",
    "escape": "\x1b",
    "line separator": "\u2028",
    "paragraph separator": "\u2029",
    "right-to-left override": "\u202e",
    "zero-width space": "\u200b",
    "byte order mark": "\ufeff",
    "surrogate": "\ud800",
    "private use": "\ue000",
    "unassigned": "\u0378",
}
TAKEN = [
    "Mug",
    "White hanging heart T-light holder",
    "\u00c9clair n\u00ba 5 \u2013 50\u00a0%",
    "\u5c71\u3000\u5ddd",
    "\U0001f3ee",
    "\u062e\u0627\u0646\u0647\u200c\u06cc \u06a9\u062a\u0627\u0628",
    "\u0dc1\u0dca\u200d\u0dbb\u0dd3",
]


@pytest.mark.parametrize("character", REFUSED.values(), ids=list(REFUSED))
def test_a_forbidden_character_is_refused_and_named(character: str) -> None:
    with pytest.raises(ValueError, match=f"U\\+{ord(character):04X}"):
        one_line(f"Mug{character}Total: 0.00 GBP")


@pytest.mark.parametrize("text", TAKEN)
def test_names_in_any_script_are_accepted(text: str) -> None:
    assert one_line(text) == cleaned(text) == text


@pytest.mark.parametrize(
    ("old", "shown"),
    [
        ("Mug\nTotal: 0.00 GBP", "Mug Total: 0.00 GBP"),
        ("Mug\r\n\r\nTotal", "Mug Total"),
        ("M\u200bug\u202e", "Mug"),
        ("\n", "?"),
    ],
)
def test_old_names_are_cleaned(old: str, shown: str) -> None:
    assert cleaned(old) == shown


@given(st.text(st.characters(exclude_categories=[])))
def test_a_cleaned_name_stays_as_it_is(text: str) -> None:
    clean = cleaned(text)
    assert one_line(clean) == cleaned(clean) == clean
    others = {category(character) for character in clean if character not in "\u200c\u200d"}
    assert not others & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def test_names_in_events_are_always_one_line() -> None:
    line = Line(sku="MUG", name="Mug", quantity=1, unit_price=1)
    total = Money(amount=1, currency="GBP")
    paid = OrderPaid(order_id=uuid4(), shopper_id=uuid4(), lines=(line,), total=total, payment_id="pi_1")
    forged = paid.model_dump_json().replace("Mug", "Mug\\n\u202eTotal")
    assert OrderPaid.model_validate_json(forged).lines[0].name == "Mug Total"
