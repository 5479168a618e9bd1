"""Limits on login attempts, and on finding out who has an account."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from argon2 import PasswordHasher

from ..conftest import Auth, StartAuth

FROM_ELSEWHERE = {"X-Forwarded-For": "198.51.100.7"}


async def test_too_many_failures_get_429_with_retry_after(start_auth: StartAuth) -> None:
    auth = await start_auth(login_attempts=2, login_window_seconds=600)
    await auth.register()
    for _ in range(2):
        assert (await auth.log_in(password="wrong horse")).status_code == 400

    answer = await auth.log_in()

    assert answer.status_code == 429
    assert answer.headers["content-type"] == "application/problem+json"
    assert 590 <= int(answer.headers["retry-after"]) <= 601


async def test_an_unknown_address_is_throttled_in_the_same_way(start_auth: StartAuth) -> None:
    auth = await start_auth(login_attempts=1)
    answers = [await auth.log_in("nobody@example.com") for _ in range(2)]
    assert [a.status_code for a in answers] == [400, 429]


async def test_concurrent_attempts_are_counted(start_auth: StartAuth) -> None:
    auth = await start_auth(login_attempts=3)
    await auth.register()
    answers = await asyncio.gather(*(auth.log_in(password="wrong horse") for _ in range(10)))
    assert sorted(a.status_code for a in answers) == [400] * 3 + [429] * 7


async def test_failures_from_another_network_lock_no_one_out(start_auth: StartAuth) -> None:
    auth = await start_auth(login_attempts=1)
    await auth.register()
    for _ in range(3):
        await auth.log_in(password="wrong horse", headers=FROM_ELSEWHERE)
    assert (await auth.log_in()).status_code == 200


async def test_a_clients_own_forwarded_header_is_not_trusted(start_auth: StartAuth) -> None:
    auth = await start_auth(login_attempts=2)
    await auth.register()
    answers = [
        await auth.log_in(password="wrong horse", headers={"X-Forwarded-For": f"203.0.113.{n}, 198.51.100.7"})
        for n in range(3)
    ]
    assert [a.status_code for a in answers] == [400, 400, 429]


async def test_behind_a_trusted_proxy_each_client_is_counted_separately(start_auth: StartAuth) -> None:
    auth = await start_auth(login_attempts=1, trusted_proxies="198.51.100.0/24")
    await auth.register()

    async def guess(forwarded: str) -> int:
        answer = await auth.log_in(password="wrong horse", headers={"X-Forwarded-For": forwarded})
        return answer.status_code

    assert await guess("203.0.113.1, 198.51.100.7") == 400
    assert await guess("203.0.113.2, 198.51.100.7") == 400
    assert await guess("203.0.113.99, 203.0.113.1, 198.51.100.8") == 429


async def test_behind_an_unlisted_proxy_a_visitor_locks_out_only_itself(start_auth: StartAuth) -> None:
    auth = await start_auth(registration_conflicts=1, trusted_proxies="10.0.0.1")
    await auth.register()
    taken = {"email": "ada@example.com", "password": "correct horse"}

    async def register(email: str, forwarded: str) -> int:
        headers = {"X-Forwarded-For": forwarded}
        return (await auth.http.post("/v1/users", json=taken | {"email": email}, headers=headers)).status_code

    assert await register("ada@example.com", "203.0.113.1, 10.0.0.1") == 409
    assert await register("eve@example.com", "203.0.113.1, 10.0.0.1") == 429
    assert await register("bob@example.com", "203.0.113.2, 10.0.0.1") == 201


async def test_trying_one_password_on_many_accounts_is_throttled_by_address(start_auth: StartAuth) -> None:
    auth = await start_auth(login_attempts_per_address=3)
    answers = [await auth.log_in(f"user{n}@example.com", "password1") for n in range(4)]
    assert [a.status_code for a in answers] == [400, 400, 400, 429]


async def test_successful_logins_are_never_throttled(start_auth: StartAuth) -> None:
    auth = await start_auth(login_attempts=2, login_attempts_per_address=2)
    await auth.register()
    assert {(await auth.log_in()).status_code for _ in range(5)} == {200}


async def test_a_success_does_not_reset_failures_on_other_accounts(start_auth: StartAuth) -> None:
    auth = await start_auth(login_attempts_per_address=3)
    await auth.register()
    for n in range(3):
        await auth.log_in(f"user{n}@example.com")
        if n < 2:
            assert (await auth.log_in()).status_code == 200
    assert (await auth.log_in("user3@example.com")).status_code == 429


async def test_the_window_passes(start_auth: StartAuth) -> None:
    auth = await start_auth(login_attempts=1)
    await auth.register()
    await auth.log_in(password="wrong horse")
    await auth.database.execute("UPDATE attempt SET resets_at = now()")
    assert (await auth.log_in()).status_code == 200


async def test_the_counts_store_no_address(start_auth: StartAuth) -> None:
    auth: Auth = await start_auth()
    await auth.log_in("ada@example.com", "wrong horse")
    rows = await auth.database.fetch("SELECT bucket FROM attempt")
    assert [len(row["bucket"]) for row in rows] == [32, 32]


async def test_logins_beyond_the_queue_get_503(start_auth: StartAuth) -> None:
    auth = await start_auth(hashing_threads=1, hashing_queue=1)
    answers = await asyncio.gather(*(auth.log_in(f"user{n}@example.com") for n in range(12)))
    refused = [a for a in answers if a.status_code == 503]
    assert refused
    assert all(a.headers["retry-after"] == "2" for a in refused)
    assert {a.status_code for a in answers} == {400, 503}


async def taken(auth: Auth, email: str = "ada@example.com", **more: Any) -> int:
    answer = await auth.http.post("/v1/users", json={"email": email, "password": "other horse"}, **more)
    return answer.status_code


async def test_probing_for_accounts_soon_gets_429(start_auth: StartAuth) -> None:
    auth = await start_auth(registration_conflicts=2, registration_window_seconds=600)
    await auth.register()
    assert [await taken(auth) for _ in range(2)] == [409, 409]

    answers = [
        await auth.http.post("/v1/users", json={"email": email, "password": "other horse"})
        for email in ("ada@example.com", "nobody@example.com")
    ]

    assert [a.status_code for a in answers] == [429, 429]
    assert answers[0].content == answers[1].content
    assert 590 <= int(answers[0].headers["retry-after"]) <= 601


async def test_replicas_share_the_limit_on_probing(start_auth: StartAuth) -> None:
    replicas = [await start_auth(registration_conflicts=2) for _ in range(2)]
    await replicas[0].register()
    assert [await taken(replica) for replica in replicas] == [409, 409]
    assert [await taken(replica) for replica in replicas] == [429, 429]


async def test_probing_from_another_network_blocks_no_registration(start_auth: StartAuth) -> None:
    auth = await start_auth(registration_conflicts=1)
    await auth.register()
    assert await taken(auth, headers=FROM_ELSEWHERE) == 409
    assert await taken(auth, "grace@example.com", headers=FROM_ELSEWHERE) == 429
    assert await taken(auth, "grace@example.com") == 201


async def test_registering_is_not_throttled_by_itself(start_auth: StartAuth) -> None:
    auth = await start_auth(registration_conflicts=1)
    assert {await taken(auth, f"user{n}@example.com") for n in range(4)} == {201}


async def test_the_limit_on_probing_ends_with_its_window(start_auth: StartAuth) -> None:
    auth = await start_auth(registration_conflicts=1)
    await auth.register()
    await taken(auth)
    await auth.database.execute("UPDATE attempt SET resets_at = now()")
    assert await taken(auth) == 409


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts hashes and verifications of passwords: the cost of a response, without a clock."""
    counted: Counter[str] = Counter()
    for name in ("hash", "verify"):
        original = getattr(PasswordHasher, name)

        def count(*args: Any, _name: str = name, _original: Any = original) -> Any:
            counted[_name] += 1
            return _original(*args)

        monkeypatch.setattr(PasswordHasher, name, count)
    return counted


async def test_a_login_costs_the_same_with_and_without_an_account(auth: Auth, hashes: Counter[str]) -> None:
    await auth.register()
    for email in ("ada@example.com", "nobody@example.com", "no address"):
        hashes.clear()
        assert (await auth.log_in(email, "wrong horse")).status_code == 400
        assert hashes == {"verify": 1}


async def test_registering_costs_the_same_whether_the_address_is_taken(
    auth: Auth, hashes: Counter[str]
) -> None:
    for email, status in (("ada@example.com", 201), ("ada@example.com", 409), ("grace@example.com", 201)):
        hashes.clear()
        assert await taken(auth, email) == status
        assert hashes == {"hash": 1}
