"""The send log in PostgreSQL: few statements, a limit for each recipient, no mail started twice."""

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
from chassis.storage import raw_sql
from chassis.storage.database import Transactions, connect
from notification import jobs, store
from notification.domain import Correspondence, KeptMail, Outcome
from notification.settings import Settings
from notification.store import IN_DOUBT, SendLog

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


async def verdicts(send_log: SendLog, keys: Iterable[str], recipient: bytes = ADA) -> list[str]:
    answers = await asyncio.gather(*(send_log.start(key, recipient) for key in keys))
    return [answer.verdict for answer in answers]


def count_statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    statements: list[str] = []

    async def counted(engine: AsyncEngine, sql: str, *values: object) -> object:
        statements.append(sql)
        return await raw_sql.fetch(engine, sql, *values)

    monkeypatch.setattr(store, "fetch", counted)
    return statements


async def test_one_statement_returns_a_result_for_each_mail(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancelled, others = [uuid4() for _ in range(20)], [uuid4() for _ in range(20)]
    async with Transactions(engine, "notification", lease=0)() as tx:
        for order_id in cancelled:
            tx.add(Correspondence(order_id, cancelled=True))
        tx.add(Correspondence(others[0]))
    keys = await intend(engine, [*cancelled, *others])
    statements = count_statements(monkeypatch)
    send_log = SendLog(engine, 20)

    answers = await asyncio.gather(*(send_log.start(key, key.encode()) for key in keys))

    assert [one.verdict for one in answers] == ["stopped"] * 20 + ["started"] * 20
    assert len(statements) == 1


async def test_a_cancellation_mail_is_not_stopped(engine: AsyncEngine) -> None:
    order_id = uuid4()
    async with Transactions(engine, "notification", lease=0)() as tx:
        tx.add(Correspondence(order_id, cancelled=True))
    [key] = await intend(engine, [order_id], "cancellation")
    assert await verdicts(SendLog(engine, 20), [key]) == ["started"]


async def test_a_started_mail_is_in_doubt_for_other_processes(engine: AsyncEngine) -> None:
    [key] = await intend(engine, [uuid4()])
    assert await verdicts(SendLog(engine, 20), [key]) == ["started"]
    after_a_crash = SendLog(engine, 20)
    assert await after_a_crash.outcome_of(key) == IN_DOUBT
    answer = await after_a_crash.start(key, ADA)
    assert (answer.verdict, answer.outcome) == ("finished", IN_DOUBT)


@pytest.mark.parametrize("outcome", [Outcome("sent"), Outcome("rejected", "refused with 554 5.7.1")])
async def test_a_recorded_outcome_is_known_after_a_crash(engine: AsyncEngine, outcome: Outcome) -> None:
    [key] = await intend(engine, [uuid4()])
    send_log = SendLog(engine, 20)
    started = await send_log.start(key, ADA)
    await send_log.finish(key, started.stamp, outcome)
    after_a_crash = SendLog(engine, 20)
    assert await after_a_crash.outcome_of(key) == outcome
    answer = await after_a_crash.start(key, ADA)
    assert (answer.verdict, answer.outcome) == ("finished", outcome)


async def test_outcomes_are_recorded_with_the_next_starts(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = await intend(engine, [uuid4() for _ in range(12)])
    send_log = SendLog(engine, 20)
    started = [await send_log.start(key, key.encode()) for key in keys[:4]]
    statements = count_statements(monkeypatch)
    monkeypatch.setattr(store, "FINISH_WINDOW", 60)
    ending = [
        asyncio.create_task(send_log.finish(key, one.stamp, Outcome("sent")))
        for key, one in zip(keys, started, strict=False)
    ]
    await asyncio.sleep(0.05)
    assert statements == []

    await asyncio.gather(*(send_log.start(key, key.encode()) for key in keys[4:]), *ending)

    assert len(statements) == 1
    assert [await send_log.outcome_of(key) for key in keys] == [Outcome("sent")] * 4 + [IN_DOUBT] * 8


async def test_mails_that_are_ready_at_about_the_same_time_start_with_one_statement(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "START_WINDOW", 0.2)
    keys = await intend(engine, [uuid4() for _ in range(2)])
    send_log = SendLog(engine, 20)
    statements = count_statements(monkeypatch)

    first = asyncio.create_task(send_log.start(keys[0], ADA))
    await asyncio.sleep(0)
    answers = await send_log.start(keys[1], BEN), await first

    assert [one.verdict for one in answers] == ["started", "started"]
    assert len(statements) == 1


async def test_outcomes_are_recorded_even_if_no_mail_starts(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = await intend(engine, [uuid4() for _ in range(4)])
    send_log = SendLog(engine, 20)
    started = await asyncio.gather(*(send_log.start(key, key.encode()) for key in keys))
    statements = count_statements(monkeypatch)

    await asyncio.gather(
        *(send_log.finish(key, one.stamp, Outcome("sent")) for key, one in zip(keys, started, strict=True))
    )

    assert len(statements) == 1
    assert await send_log.outcome_of(keys[0]) == Outcome("sent")


async def test_an_outcome_that_cannot_be_recorded_raises(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    [key] = await intend(engine, [uuid4()])
    send_log = SendLog(engine, 20)
    started = await send_log.start(key, ADA)
    monkeypatch.setattr(store, "fetch", _unavailable)
    with pytest.raises(Unavailable):
        await send_log.finish(key, started.stamp, Outcome("sent"))


async def test_an_undone_start_can_be_repeated_by_any_process(engine: AsyncEngine) -> None:
    [key] = await intend(engine, [uuid4()])
    one, other = SendLog(engine, 20), SendLog(engine, 20)
    answer = await one.start(key, ADA)
    await one.undo_start(key, answer.stamp)
    assert await other.outcome_of(key) is None
    assert await verdicts(other, [key]) == ["started"]


async def test_an_unrecorded_undo_is_known_to_its_own_process_only(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mail server refused the mail while the database was unavailable: this process knows that."""
    [key] = await intend(engine, [uuid4()])
    one, other = SendLog(engine, 20), SendLog(engine, 20)
    answer = await one.start(key, ADA)
    with monkeypatch.context() as outage:
        outage.setattr(store, "fetch", _unavailable)
        with pytest.raises(Unavailable):
            await one.undo_start(key, answer.stamp)
    assert await one.outcome_of(key) is None
    assert await other.outcome_of(key) == IN_DOUBT
    assert await verdicts(one, [key]) == ["started"]
    assert await verdicts(other, [key]) == ["finished"]


async def test_a_commit_that_may_have_happened_does_not_put_a_mail_in_doubt(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    [key] = await intend(engine, [uuid4()])
    send_log = SendLog(engine, 20)

    async def committed_and_lost(*values: Any) -> object:
        await raw_sql.fetch(*values)
        raise Unavailable("The database does not answer.")

    with monkeypatch.context() as lossy:
        lossy.setattr(store, "fetch", committed_and_lost)
        with pytest.raises(Unavailable):
            await send_log.start(key, ADA)
    assert await verdicts(send_log, [key]) == ["started"]


async def test_a_mail_whose_intent_is_gone_does_not_start(engine: AsyncEngine) -> None:
    assert await verdicts(SendLog(engine, 20), [f"receipt:{uuid4()}"]) == ["gone"]


async def test_the_limit_for_one_recipient_holds_across_processes(engine: AsyncEngine) -> None:
    replicas = SendLog(engine, 5), SendLog(engine, 5)
    keys = await intend(engine, [uuid4() for _ in range(16)])
    found = await asyncio.gather(verdicts(replicas[0], keys[:8]), verdicts(replicas[1], keys[8:]))
    assert sorted([*found[0], *found[1]]) == ["put_off"] * 11 + ["started"] * 5
    [other] = await intend(engine, [uuid4()])
    assert await verdicts(replicas[0], [other], BEN) == ["started"]


async def test_an_hour_later_further_mails_start(engine: AsyncEngine) -> None:
    send_log = SendLog(engine, 2)
    keys = await intend(engine, [uuid4() for _ in range(4)])
    assert await verdicts(send_log, keys[:2]) == ["started"] * 2
    answer = await send_log.start(keys[2], ADA)
    assert answer.verdict == "put_off"
    assert answer.until is not None
    assert answer.until - datetime.now(UTC) > timedelta(minutes=59)
    await _an_hour_passes(engine)
    assert await verdicts(send_log, keys[2:]) == ["started"] * 2
    async with engine.connect() as connection:
        assert await connection.scalar(text("SELECT cardinality(mailed) FROM recipient")) == 2


async def test_retention_deletes_recipients_and_old_mails(engine: AsyncEngine) -> None:
    now = datetime.now(UTC)
    old, new = uuid4(), uuid4()
    async with Transactions(engine, "notification", lease=0)() as tx:
        for one, at in ((old, now - timedelta(days=91)), (new, now)):
            tx.add(Correspondence(one))
            tx.add(KeptMail(f"receipt:{one}", "receipt", one, {}, "rejected", None, at))
    keys = await intend(engine, [uuid4()])
    await verdicts(SendLog(engine, 2), keys)
    await _an_hour_passes(engine)
    async with engine.begin() as connection:
        await connection.execute(
            text("UPDATE correspondence SET begun_at = now() - interval '400 days' WHERE subject_id = :old"),
            {"old": old},
        )

    for job in jobs.periodic(kept_for(90, 0), engine):
        await job.work()
    assert await _kept(engine) == ([new], sorted([old, new]), 0)
    for job in jobs.periodic(kept_for(0, 365), engine):
        await job.work()
    assert await _kept(engine) == ([new], [new], 0)


def kept_for(mails: int, correspondence: int) -> Settings:
    return Settings.model_construct(kept_mail_keep_days=mails, correspondence_keep_days=correspondence)


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


async def _unavailable(*_: object) -> object:
    raise Unavailable("The database does not answer.")
