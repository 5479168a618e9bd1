"""Beginning mails in PostgreSQL: few statements, at most so many for one recipient, never twice."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.errors import Unavailable
from chassis.saga.tx import Intent
from chassis.storage import direct
from chassis.storage.database import Transactions, connect
from notification import store
from notification.domain import Correspondence, KeptMail, Outcome
from notification.store import IN_DOUBT, Beginnings, Retention

ADA, BEN = b"ada", b"ben"


@pytest.fixture
async def engine(migrated: Callable[[str], str]) -> AsyncIterator[AsyncEngine]:
    engine = connect(migrated("notification"), pool_size=3, statement_timeout=10)
    yield engine
    await engine.dispose()


async def intend(engine: AsyncEngine, ids: Iterable[UUID], kind: str = "receipt") -> list[str]:
    intents = [Intent(kind, one) for one in ids]
    async with Transactions(engine, "notification", lease=60)() as tx:
        tx.intend(*intents)
    return [intent.key for intent in intents]


async def verdicts(beginnings: Beginnings, keys: Iterable[str], recipient: bytes = ADA) -> list[str]:
    answers = await asyncio.gather(*(beginnings.begin(key, recipient) for key in keys))
    return [answer.verdict for answer in answers]


def count_statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    statements: list[str] = []

    async def counted(engine: AsyncEngine, sql: str, *values: object) -> object:
        statements.append(sql)
        return await direct.fetch(engine, sql, *values)

    monkeypatch.setattr(store, "fetch", counted)
    return statements


async def test_each_gets_its_own_answer_from_one_statement(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    off, on = [uuid4() for _ in range(20)], [uuid4() for _ in range(20)]
    async with Transactions(engine, "notification", lease=0)() as tx:
        for order_id in off:
            tx.add(Correspondence(order_id, cancelled=True))
        tx.add(Correspondence(on[0]))
    keys = await intend(engine, [*off, *on])
    statements = count_statements(monkeypatch)
    beginnings = Beginnings(engine, 20)

    answers = await asyncio.gather(*(beginnings.begin(key, key.encode()) for key in keys))

    assert [one.verdict for one in answers] == ["stopped"] * 20 + ["begun"] * 20
    assert len(statements) == 1


async def test_a_cancellation_is_not_stopped_by_itself(engine: AsyncEngine) -> None:
    order_id = uuid4()
    async with Transactions(engine, "notification", lease=0)() as tx:
        tx.add(Correspondence(order_id, cancelled=True))
    [key] = await intend(engine, [order_id], "cancellation")
    assert await verdicts(Beginnings(engine, 20), [key]) == ["begun"]


async def test_what_was_begun_is_in_doubt_for_whoever_comes_later(engine: AsyncEngine) -> None:
    [key] = await intend(engine, [uuid4()])
    assert await verdicts(Beginnings(engine, 20), [key]) == ["begun"]
    after_a_crash = Beginnings(engine, 20)
    assert await after_a_crash.ended(key) == IN_DOUBT
    answer = await after_a_crash.begin(key, ADA)
    assert (answer.verdict, answer.outcome) == ("ended", IN_DOUBT)


@pytest.mark.parametrize("outcome", [Outcome("sent"), Outcome("rejected", "refused with 554 5.7.1")])
async def test_how_a_mail_ended_is_known_after_a_crash(engine: AsyncEngine, outcome: Outcome) -> None:
    [key] = await intend(engine, [uuid4()])
    beginnings = Beginnings(engine, 20)
    begun = await beginnings.begin(key, ADA)
    await beginnings.end(key, begun.stamp, outcome)
    after_a_crash = Beginnings(engine, 20)
    assert await after_a_crash.ended(key) == outcome
    answer = await after_a_crash.begin(key, ADA)
    assert (answer.verdict, answer.outcome) == ("ended", outcome)


async def test_how_mails_ended_is_noted_with_the_next_that_begin(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = await intend(engine, [uuid4() for _ in range(12)])
    beginnings = Beginnings(engine, 20)
    begun = [await beginnings.begin(key, key.encode()) for key in keys[:4]]
    statements = count_statements(monkeypatch)
    monkeypatch.setattr(store, "END_LINGER", 60)
    ending = [
        asyncio.create_task(beginnings.end(key, one.stamp, Outcome("sent")))
        for key, one in zip(keys, begun, strict=False)
    ]
    await asyncio.sleep(0.05)
    assert statements == []

    await asyncio.gather(*(beginnings.begin(key, key.encode()) for key in keys[4:]), *ending)

    assert len(statements) == 1
    assert [await beginnings.ended(key) for key in keys] == [Outcome("sent")] * 4 + [IN_DOUBT] * 8


async def test_mails_that_are_ready_at_about_the_same_time_begin_together(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "BEGIN_LINGER", 0.2)
    keys = await intend(engine, [uuid4() for _ in range(2)])
    beginnings = Beginnings(engine, 20)
    statements = count_statements(monkeypatch)

    first = asyncio.create_task(beginnings.begin(keys[0], ADA))
    await asyncio.sleep(0)
    answers = await beginnings.begin(keys[1], BEN), await first

    assert [one.verdict for one in answers] == ["begun", "begun"]
    assert len(statements) == 1


async def test_how_mails_ended_is_noted_though_none_begins(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = await intend(engine, [uuid4() for _ in range(4)])
    beginnings = Beginnings(engine, 20)
    begun = await asyncio.gather(*(beginnings.begin(key, key.encode()) for key in keys))
    statements = count_statements(monkeypatch)

    await asyncio.gather(
        *(beginnings.end(key, one.stamp, Outcome("sent")) for key, one in zip(keys, begun, strict=True))
    )

    assert len(statements) == 1
    assert await beginnings.ended(keys[0]) == Outcome("sent")


async def test_an_end_that_could_not_be_noted_says_so(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    [key] = await intend(engine, [uuid4()])
    beginnings = Beginnings(engine, 20)
    begun = await beginnings.begin(key, ADA)
    monkeypatch.setattr(store, "fetch", _away)
    with pytest.raises(Unavailable):
        await beginnings.end(key, begun.stamp, Outcome("sent"))


async def test_what_was_withdrawn_begins_again_anywhere(engine: AsyncEngine) -> None:
    [key] = await intend(engine, [uuid4()])
    one, other = Beginnings(engine, 20), Beginnings(engine, 20)
    answer = await one.begin(key, ADA)
    await one.withdraw(key, answer.stamp)
    assert await other.ended(key) is None
    assert await verdicts(other, [key]) == ["begun"]


async def test_what_the_database_could_not_note_is_known_to_its_own_process_alone(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server refused the mail, and the database was away: it is not in doubt here."""
    [key] = await intend(engine, [uuid4()])
    one, other = Beginnings(engine, 20), Beginnings(engine, 20)
    answer = await one.begin(key, ADA)
    with monkeypatch.context() as away:
        away.setattr(store, "fetch", _away)
        with pytest.raises(Unavailable):
            await one.withdraw(key, answer.stamp)
    assert await one.ended(key) is None
    assert await other.ended(key) == IN_DOUBT
    assert await verdicts(one, [key]) == ["begun"]
    assert await verdicts(other, [key]) == ["ended"]


async def test_a_commit_that_may_have_happened_does_not_put_a_mail_in_doubt(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    [key] = await intend(engine, [uuid4()])
    beginnings = Beginnings(engine, 20)

    async def committed_and_lost(*values: Any) -> object:
        await direct.fetch(*values)
        raise Unavailable("The database does not answer.")

    with monkeypatch.context() as lossy:
        lossy.setattr(store, "fetch", committed_and_lost)
        with pytest.raises(Unavailable):
            await beginnings.begin(key, ADA)
    assert await verdicts(beginnings, [key]) == ["begun"]


async def test_a_mail_whose_outcome_somebody_else_noted_does_not_begin(engine: AsyncEngine) -> None:
    assert await verdicts(Beginnings(engine, 20), [f"receipt:{uuid4()}"]) == ["gone"]


async def test_at_most_so_many_begin_for_one_recipient_whoever_sends_them(engine: AsyncEngine) -> None:
    replicas = Beginnings(engine, 5), Beginnings(engine, 5)
    keys = await intend(engine, [uuid4() for _ in range(16)])
    found = await asyncio.gather(verdicts(replicas[0], keys[:8]), verdicts(replicas[1], keys[8:]))
    assert sorted([*found[0], *found[1]]) == ["begun"] * 5 + ["put_off"] * 11
    [other] = await intend(engine, [uuid4()])
    assert await verdicts(replicas[0], [other], BEN) == ["begun"]


async def test_an_hour_later_others_begin(engine: AsyncEngine) -> None:
    beginnings = Beginnings(engine, 2)
    keys = await intend(engine, [uuid4() for _ in range(4)])
    assert await verdicts(beginnings, keys[:2]) == ["begun"] * 2
    answer = await beginnings.begin(keys[2], ADA)
    assert answer.verdict == "put_off"
    assert answer.until is not None
    assert answer.until - datetime.now(UTC) > timedelta(minutes=59)
    await _an_hour_passes(engine)
    assert await verdicts(beginnings, keys[2:]) == ["begun"] * 2
    async with engine.connect() as connection:
        assert await connection.scalar(text("SELECT cardinality(mailed) FROM recipient")) == 2


async def test_recipients_and_old_mails_are_forgotten(engine: AsyncEngine) -> None:
    now = datetime.now(UTC)
    old, new = uuid4(), uuid4()
    async with Transactions(engine, "notification", lease=0)() as tx:
        for one, at in ((old, now - timedelta(days=91)), (new, now)):
            tx.add(Correspondence(one))
            tx.add(KeptMail(f"receipt:{one}", "receipt", one, {}, "rejected", None, at))
    keys = await intend(engine, [uuid4()])
    await verdicts(Beginnings(engine, 2), keys)
    await _an_hour_passes(engine)
    async with engine.begin() as connection:
        await connection.execute(
            text("UPDATE correspondence SET begun_at = now() - interval '400 days' WHERE subject_id = :old"),
            {"old": old},
        )

    await Retention(engine, kept_mail_days=90, correspondence_days=0).forget()
    assert await _kept(engine) == ([new], sorted([old, new]), 0)
    await Retention(engine, kept_mail_days=0, correspondence_days=365).forget()
    assert await _kept(engine) == ([new], [new], 0)


async def _kept(engine: AsyncEngine) -> tuple[list[UUID], list[UUID], int | None]:
    async with engine.connect() as connection:
        mails = (await connection.scalars(text("SELECT subject_id FROM kept_mail"))).all()
        written = (await connection.scalars(text("SELECT subject_id FROM correspondence"))).all()
        counted = await connection.scalar(text("SELECT count(*) FROM recipient"))
    return list(mails), sorted(written), counted


async def _an_hour_passes(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(
            text("""
                UPDATE recipient SET mailed = ARRAY(
                    SELECT at - interval '61 minutes'
                    FROM unnest(mailed) WITH ORDINALITY AS times (at, n) ORDER BY n)""")
        )


async def _away(*_: object) -> object:
    raise Unavailable("The database does not answer.")
