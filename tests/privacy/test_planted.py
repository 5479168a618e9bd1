"""After every scenario and a day with planted values: none of them, and no secret of the stack, was written
down where operators read. Services log at their most talkative meanwhile."""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from chassis.messaging.encryption import Cipher
from devstack import Stack
from shop.audit.trail import DATABASE
from shop.dead_letters.session import peek
from shop.targets import SERVICES

from .finding import forms, found
from .planting import ADDRESS, Planted, address, told_to_the_stack

pytestmark = pytest.mark.timeout(600)

# Where something has to be, and nothing else.
KEPT = {
    ("auth", "account"): {"an account's e-mail"},
    ("auth", "address"): {f"a saved {part}" for part in ADDRESS},
    ("order", "orders"): {"a return URL", *(f"a {part}" for part in ADDRESS)},
    ("payment", "payment"): {"a return URL"},
}


@pytest.fixture
def private(planted: Planted, stack: Stack) -> dict[str, str]:
    return planted.values | told_to_the_stack(stack)


@pytest.mark.parametrize("form", dict(forms("a & value/of?its own")))
def test_a_value_is_found_in_every_form(form: str) -> None:
    value = "a & value/of?its own"
    [*written] = [text for name, text in forms(value) if name == form]
    for text in written:
        assert f"it ({form})" in found({"it": value}, f"before {text} after")


def test_no_log_holds_personal_data_or_secrets(
    private: Mapping[str, str], planted: Planted, stack: Stack
) -> None:
    logs = {str(file.relative_to(stack.folder)): file.read_text(errors="replace") for file in _logs(stack)}
    assert {"log/order.log", "log/gateway.log", "log/postgres.log", "log/rabbitmq.log"} <= logs.keys()
    assert str(planted.letters[0].message_id) in logs["log/payment.log"], "these are the logs of that day"
    assert _leaks(private, logs) == {}


def test_the_log_filter_had_nothing_to_remove(planted: Planted, stack: Stack) -> None:
    caught = ("[address]", "[card]", "[key]", "[login]", "[token]")
    lines = [line for file in _logs(stack) for line in file.read_text(errors="replace").splitlines()]
    # Stripe's SDK then gives the address of its makers, and aiormq the broker's URL with the password: the
    # filter is for what libraries log by themselves.
    theirs = ("communicating with Stripe", "Unexpected connection close from remote")
    removed = [line for line in lines if any(kind in line for kind in caught)]
    assert [line for line in removed if not any(one in line for one in theirs)] == []


def test_no_refusal_repeats_personal_data(private: Mapping[str, str], planted: Planted) -> None:
    statuses = {answer.status_code for answer in planted.refusals}
    assert {401, 409, 422} <= statuses
    refused = {
        f"{n} {answer}": f"{answer.headers} {answer.text}" for n, answer in enumerate(planted.refusals)
    }
    assert _leaks(private, refused) == {}


def test_no_message_holds_personal_data(private: Mapping[str, str], planted: Planted) -> None:
    said = {f"{m.message_id}": f"{m.headers} {m.body.decode()}" for m in planted.said}
    assert f"order.paid/{planted.order_id}" in said
    assert f"payment.action_required/{planted.confirmed_id}" in said
    leaks = {where: _names(leaked) for where, leaked in _leaks(private, said).items()}
    assert leaks == {f"order.created/{planted.confirmed_id}": {"a return URL"}}, "payment has to know it"


def test_who_ships_reads_the_whole_address_of_a_paid_order(planted: Planted, stack: Stack) -> None:
    """With the contact key, from the event alone."""
    [paid] = [one for one in planted.said if one.message_id == f"order.paid/{planted.order_id}"]
    cipher = Cipher([told_to_the_stack(stack)["contact-key"]])
    assert json.loads(cipher.decrypt(json.loads(paid.body)["shipping"])) == address(planted, "a")


def test_a_dead_letters_reason_quotes_nothing(private: Mapping[str, str], planted: Planted) -> None:
    assert len(planted.letters) == 3
    for letter in planted.letters:
        assert letter.headers["error"]
        assert found(private, str(letter.headers)) == set()
    as_it_was_planted = "nonsense"
    others = {name: value for name, value in private.items() if name != as_it_was_planted}
    assert _leaks(others, {str(x.message_id): x.body.decode() for x in planted.letters}) == {}


async def test_no_dead_letters_reason_holds_personal_data(private: Mapping[str, str], stack: Stack) -> None:
    seen = await peek(stack, "tests")
    assert _leaks(private, {letter.id: str(letter.document()) for letter in seen.dead_letters}) == {}


async def test_no_table_holds_more_personal_data_than_it_needs(
    private: Mapping[str, str], stack: Stack
) -> None:
    holds = {}
    for database in (*SERVICES, DATABASE):
        async for table, text in _tables(stack, database):
            if names := _names(found(private, text)):
                holds[database, table] = names
    assert holds == KEPT


def _logs(stack: Stack) -> Iterator[Path]:
    """Of every program, RabbitMQ's own, and what was rotated away."""
    return (file for file in stack.folder.rglob("*.log*") if file.is_file())


def _leaks(private: Mapping[str, str], texts: Mapping[str, str]) -> dict[str, set[str]]:
    leaks = {where: found(private, text) for where, text in texts.items()}
    return {where: names for where, names in leaks.items() if names}


def _names(leaked: set[str]) -> set[str]:
    """Without their forms."""
    return {leak.partition(" (")[0] for leak in leaked}


async def _tables(stack: Stack, database: str) -> AsyncIterator[tuple[str, str]]:
    """Every table's rows as text."""
    async with _connected(stack, database) as connection:
        query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        for row in await connection.fetch(query):
            rows = await connection.fetch(f'SELECT t::text FROM "{row["tablename"]}" AS t')
            yield row["tablename"], "\n".join(one[0] for one in rows)


@asynccontextmanager
async def _connected(stack: Stack, database: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(stack.operator_dsn(database), timeout=10, command_timeout=60)
    try:
        yield connection
    finally:
        await connection.close()
