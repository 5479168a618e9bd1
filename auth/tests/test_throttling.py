"""How often a password may be tried."""

import asyncio

from .conftest import Auth, StartAuth

FROM_ELSEWHERE = {"X-Forwarded-For": "198.51.100.7"}


async def test_too_many_failures_are_told_to_wait(start_auth: StartAuth) -> None:
    auth = await start_auth(login_attempts=2, login_window_seconds=600)
    await auth.register()
    for _ in range(2):
        assert (await auth.log_in(password="wrong horse")).status_code == 400

    answer = await auth.log_in()

    assert answer.status_code == 429
    assert answer.headers["content-type"] == "application/problem+json"
    assert 590 <= int(answer.headers["retry-after"]) <= 601


async def test_an_address_that_nobody_has_is_throttled_alike(start_auth: StartAuth) -> None:
    auth = await start_auth(login_attempts=1)
    answers = [await auth.log_in("nobody@example.com") for _ in range(2)]
    assert [a.status_code for a in answers] == [400, 429]


async def test_trying_many_at_once_gains_nothing(start_auth: StartAuth) -> None:
    auth = await start_auth(login_attempts=3)
    await auth.register()
    answers = await asyncio.gather(*(auth.log_in(password="wrong horse") for _ in range(10)))
    assert sorted(a.status_code for a in answers) == [400] * 3 + [429] * 7


async def test_nobody_is_locked_out_by_failures_from_elsewhere(start_auth: StartAuth) -> None:
    auth = await start_auth(login_attempts=1)
    await auth.register()
    for _ in range(3):
        await auth.log_in(password="wrong horse", headers=FROM_ELSEWHERE)
    assert (await auth.log_in()).status_code == 200


async def test_whom_a_client_claims_to_forward_for_is_not_believed(start_auth: StartAuth) -> None:
    auth = await start_auth(login_attempts=2)
    await auth.register()
    answers = [
        await auth.log_in(password="wrong horse", headers={"X-Forwarded-For": f"203.0.113.{n}, 198.51.100.7"})
        for n in range(3)
    ]
    assert [a.status_code for a in answers] == [400, 400, 429]


async def test_trying_one_password_on_many_accounts_is_throttled_by_address(start_auth: StartAuth) -> None:
    auth = await start_auth(login_attempts_per_address=3)
    answers = [await auth.log_in(f"user{n}@example.com", "password1") for n in range(4)]
    assert [a.status_code for a in answers] == [400, 400, 400, 429]


async def test_successful_logins_are_never_throttled(start_auth: StartAuth) -> None:
    auth = await start_auth(login_attempts=2, login_attempts_per_address=2)
    await auth.register()
    assert {(await auth.log_in()).status_code for _ in range(5)} == {200}


async def test_a_success_does_not_wash_off_failures_on_other_accounts(start_auth: StartAuth) -> None:
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


async def test_the_count_shows_no_address(start_auth: StartAuth) -> None:
    auth: Auth = await start_auth()
    await auth.log_in("ada@example.com", "wrong horse")
    rows = await auth.database.fetch("SELECT bucket FROM attempt")
    assert [len(row["bucket"]) for row in rows] == [32, 32]


async def test_more_logins_than_can_wait_are_turned_away(start_auth: StartAuth) -> None:
    auth = await start_auth(hashing_threads=1, hashing_queue=1)
    answers = await asyncio.gather(*(auth.log_in(f"user{n}@example.com") for n in range(12)))
    refused = [a for a in answers if a.status_code == 503]
    assert refused
    assert all(a.headers["retry-after"] == "2" for a in refused)
    assert {a.status_code for a in answers} == {400, 503}
