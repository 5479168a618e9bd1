"""What the periodic jobs delete, and what is logged."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from sqlalchemy import text
from structlog.testing import capture_logs

from auth import store
from auth.authentication import LoginLimit
from auth.domain import Account, MailedToken, Session
from auth.store import claim_guest
from chassis.http.origin import Origin
from chassis.storage.attempts import Attempts
from chassis.storage.database import Transactions, connect

from ..conftest import StartAuth

NOW = datetime(2026, 1, 10, tzinfo=UTC)
DAY = timedelta(days=1)


async def test_expired_sessions_and_tokens_and_old_merged_guests_are_deleted(
    migrated: Callable[[str], str],
) -> None:
    engine = connect(migrated("auth"), pool_size=2, statement_timeout=10)
    transactions = Transactions(engine, "auth", lease=0)
    account = Account(uuid4(), "ada@example.com", "$argon2id$", "shopper", NOW)
    expired, lasting, old, recent = (uuid4() for _ in range(4))
    async with transactions() as tx:
        tx.add(account)
    async with transactions() as tx:
        for session_id, expires_at in ((expired, NOW - DAY), (lasting, NOW + DAY)):
            tx.add(Session(session_id, account.account_id, b"h" * 32, NOW - DAY, expires_at))
        for token_hash, expires_at in ((b"e" * 32, NOW - DAY), (b"l" * 32, NOW + DAY)):
            tx.add(MailedToken(token_hash, account.account_id, "reset password", expires_at))
        for guest_id, merged_at in ((old, NOW - 3 * DAY), (recent, NOW - DAY)):
            assert await claim_guest(tx.session, guest_id, account.account_id, merged_at)

    await store.delete_expired(engine, NOW, DAY)

    async with transactions() as tx:
        assert await tx.get(Session, expired) is None
        assert await tx.get(Session, lasting) is not None
        assert await tx.get(MailedToken, b"e" * 32) is None
        assert await tx.get(MailedToken, b"l" * 32) is not None
        assert await claim_guest(tx.session, old, account.account_id, NOW)
        assert not await claim_guest(tx.session, recent, account.account_id, NOW)
    await engine.dispose()


async def test_a_count_is_deleted_when_its_window_ends(migrated: Callable[[str], str]) -> None:
    engine = connect(migrated("auth"), pool_size=2, statement_timeout=10)
    attempts = Attempts(engine, window=600)
    limit = LoginLimit(attempts, per_account=1, per_address=100)
    await limit.count("ada@example.com", Origin.at("203.0.113.9"))
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE attempt SET resets_at = now()"))
    await limit.count("ada@example.com", Origin.at("198.51.100.7"))

    await attempts.prune()

    async with engine.begin() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM attempt")) == 2
    await engine.dispose()


async def test_logins_are_logged_without_addresses_or_secrets(start_auth: StartAuth) -> None:
    auth = await start_auth(login_attempts=2, registration_conflicts=1, refresh_grace_seconds=0)
    with capture_logs() as logs:
        user = await auth.register()
        token = (await auth.log_in()).json()["refresh_token"]
        await auth.refresh(token)
        await auth.refresh(token)
        for _ in range(3):
            await auth.log_in(password="wrong horse")
        for _ in range(2):
            await auth.http.post("/v1/users", json={"email": "ada@example.com", "password": "my horse"})

    events = [line["event"] for line in logs if line["event"] != "request"]
    assert events == [
        "registered",
        "logged in",
        "refresh token reused, session ended",
        "login refused",
        "login refused",
        "login throttled",
        "registration refused",
        "registration throttled",
    ]
    assert all(line["network"] == "127.0.0.0/24" for line in logs if line["event"] != "request")
    assert {line["account"] for line in logs if "account" in line} == {user["id"]}
    for secret in ("ada@example.com", "horse", token, "127.0.0.1"):
        assert secret not in str(logs)
