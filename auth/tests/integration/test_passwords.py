"""A new password: by a token that was mailed, or with the present one."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from auth.password_changes import ANSWER_SECONDS
from chassis.messaging.encryption import Cipher

from ..conftest import CONTACT_KEY, Auth, StartAuth

NEW = "a new password"


async def ask(auth: Auth, email: str = "ada@example.com", **more: Any) -> int:
    return (await auth.http.post("/v1/password-resets", json={"email": email}, **more)).status_code


async def mailed(auth: Auth, event: str = "user.password_reset_requested") -> list[str]:
    """The tokens that were mailed, as notification decrypts them."""
    cipher = Cipher([CONTACT_KEY])
    return [cipher.decrypt(data["token"]) for type_, data in await auth.published() if type_ == event]


async def reset(auth: Auth, token: str, password: str = NEW) -> int:
    body = {"token": token, "password": password}
    return (await auth.http.post("/v1/password-resets/complete", json=body)).status_code


async def change(auth: Auth, tokens: dict[str, str], present: str, **more: str) -> int:
    body = {"password": present, "new_password": NEW, **more}
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    return (await auth.http.post("/v1/users/me/password", json=body, headers=headers)).status_code


async def notices(auth: Auth) -> int:
    return [type_ for type_, _ in await auth.published()].count("user.password_changed")


async def test_a_mailed_token_sets_a_new_password_and_ends_all_sessions(auth: Auth) -> None:
    await auth.register()
    session = (await auth.log_in()).json()["refresh_token"]
    assert await ask(auth, "Ada@Example.com") == 202
    [token] = await mailed(auth)

    assert await reset(auth, token) == 204

    assert (await auth.log_in()).status_code == 400
    assert (await auth.refresh(session)).status_code == 400
    assert (await auth.log_in(password=NEW)).status_code == 200
    assert await notices(auth) == 1


async def test_an_address_without_an_account_gets_the_same_answer_after_the_same_time(auth: Auth) -> None:
    await auth.register()
    answers = []
    for email in ("ada@example.com", "nobody@example.com"):
        answer = await auth.http.post("/v1/password-resets", json={"email": email})
        assert answer.elapsed.total_seconds() >= ANSWER_SECONDS
        answers.append((answer.status_code, answer.content))
    assert answers[0] == answers[1]
    assert len(await mailed(auth)) == 1


async def test_a_token_can_be_used_once_and_with_it_the_others_are_gone(auth: Auth) -> None:
    await auth.register()
    await ask(auth)
    await ask(auth)
    first, second = await mailed(auth)
    assert await reset(auth, first) == 204
    assert await reset(auth, first) == 422
    assert await reset(auth, second) == 422


async def test_of_concurrent_resets_with_one_token_one_succeeds(auth: Auth) -> None:
    await auth.register()
    await ask(auth)
    [token] = await mailed(auth)
    answers = await asyncio.gather(*(reset(auth, token, f"new password {n}") for n in range(4)))
    assert sorted(answers) == [204, 422, 422, 422]
    winner = answers.index(204)
    assert (await auth.log_in(password=f"new password {winner}")).status_code == 200


async def test_a_login_in_the_moment_of_a_reset_leaves_no_session(auth: Auth) -> None:
    await auth.register()
    await ask(auth)
    [token] = await mailed(auth)
    logins = asyncio.gather(*(auth.log_in() for _ in range(8)))
    assert await reset(auth, token) == 204
    for login in await logins:
        if login.status_code == 200:
            assert (await auth.refresh(login.json()["refresh_token"])).status_code == 400


async def test_a_refused_password_leaves_the_token_valid(auth: Auth) -> None:
    await auth.register("adalovelace@example.com")
    await ask(auth, "adalovelace@example.com")
    [token] = await mailed(auth)
    assert await reset(auth, token, "AdaLovelace") == 422
    assert await reset(auth, token) == 204


async def test_every_invalid_token_gets_the_same_response(auth: Auth) -> None:
    await auth.register()
    await ask(auth)
    [expired] = await mailed(auth)
    await auth.database.execute("UPDATE mailed_token SET expires_at = now()")
    [confirmation] = await mailed(auth, "user.registered")
    answers = [
        await auth.http.post("/v1/password-resets/complete", json={"token": token, "password": NEW})
        for token in (expired, confirmation, "unknown")
    ]
    assert {a.status_code for a in answers} == {422}
    assert {a.json()["type"] for a in answers} == {"/problems/token-not-valid"}
    assert len({a.content for a in answers}) == 1


async def test_a_token_is_stored_as_a_hash_and_encrypted_in_the_event(auth: Auth) -> None:
    await auth.register()
    await ask(auth)
    [token] = await mailed(auth)
    for table in ("mailed_token", "outbox", "account"):
        assert token not in str([*map(dict, await auth.database.fetch(f"SELECT * FROM {table}"))])


async def test_a_token_is_valid_for_an_hour(auth: Auth) -> None:
    await auth.register()
    await ask(auth)
    [event] = [data for type_, data in await auth.published() if "reset" in type_]
    lifetime = datetime.fromisoformat(event["expires_at"]) - datetime.now().astimezone()
    assert timedelta(minutes=59) < lifetime <= timedelta(hours=1)


async def test_mails_to_an_address_are_limited_and_nothing_says_so(start_auth: StartAuth) -> None:
    auth = await start_auth(mails_per_address=2)
    await auth.register()
    assert [await ask(auth) for _ in range(4)] == [202] * 4
    assert len(await mailed(auth)) == 2


async def test_requests_from_a_network_are_limited_for_known_and_unknown_addresses(
    start_auth: StartAuth,
) -> None:
    auth = await start_auth(mail_requests_per_network=2)
    await auth.register()
    emails = ("ada@example.com", "bob@example.com", "eve@example.com", "ada@example.com")
    assert [await ask(auth, email) for email in emails] == [202, 202, 429, 429]
    assert await ask(auth, headers={"X-Forwarded-For": "198.51.100.7"}) == 202


async def test_after_a_reset_earlier_failures_do_not_throttle_the_login(start_auth: StartAuth) -> None:
    auth = await start_auth(login_attempts=2)
    await auth.register()
    for _ in range(2):
        await auth.log_in(password="wrong horse")
    await ask(auth)
    [token] = await mailed(auth)
    await reset(auth, token)
    assert (await auth.log_in(password=NEW)).status_code == 200


async def test_changing_the_password_ends_the_other_sessions_and_mails_a_notice(auth: Auth) -> None:
    await auth.register()
    mine, other = [(await auth.log_in()).json() for _ in range(2)]

    assert await change(auth, mine, "correct horse", refresh_token=mine["refresh_token"]) == 204

    assert (await auth.refresh(mine["refresh_token"])).status_code == 200
    assert (await auth.refresh(other["refresh_token"])).status_code == 400
    assert (await auth.log_in()).status_code == 400
    assert (await auth.log_in(password=NEW)).status_code == 200
    assert await notices(auth) == 1


@pytest.mark.parametrize("named", [False, True])
async def test_without_a_session_of_the_account_all_of_them_end(auth: Auth, named: bool) -> None:
    await auth.register()
    await auth.register("eve@example.com")
    mine = (await auth.log_in()).json()
    eves = (await auth.log_in("eve@example.com")).json()
    more = {"refresh_token": eves["refresh_token"]} if named else {}
    assert await change(auth, mine, "correct horse", **more) == 204
    assert (await auth.refresh(mine["refresh_token"])).status_code == 400
    assert (await auth.refresh(eves["refresh_token"])).status_code == 200


async def test_a_wrong_present_password_changes_nothing_and_is_throttled(start_auth: StartAuth) -> None:
    auth = await start_auth(login_attempts=2)
    await auth.register()
    mine = (await auth.log_in()).json()
    answers = [await change(auth, mine, "wrong horse") for _ in range(3)]
    assert answers == [403, 403, 429]
    assert (await auth.refresh(mine["refresh_token"])).status_code == 200
    assert await notices(auth) == 0


async def test_a_changed_password_makes_reset_tokens_worthless(auth: Auth) -> None:
    await auth.register()
    await ask(auth)
    [token] = await mailed(auth)
    assert await change(auth, (await auth.log_in()).json(), "correct horse") == 204
    assert await reset(auth, token) == 422


async def test_logging_out_everywhere_ends_every_session_of_the_account_only(auth: Auth) -> None:
    await auth.register()
    await auth.register("eve@example.com")
    sessions = [(await auth.log_in()).json() for _ in range(2)]
    eves = (await auth.log_in("eve@example.com")).json()
    headers = {"Authorization": f"Bearer {sessions[0]['access_token']}"}
    assert (await auth.http.post("/v1/users/me/logout", headers=headers)).status_code == 204
    assert {(await auth.refresh(one["refresh_token"])).status_code for one in sessions} == {400}
    assert (await auth.refresh(eves["refresh_token"])).status_code == 200
