"""Guests, and their merging at login."""

import asyncio
from typing import Any

from ..conftest import Auth, StartAuth


async def guest(auth: Auth) -> dict[str, Any]:
    answer = await auth.http.post("/v1/guests")
    assert answer.status_code == 201
    visitor: dict[str, Any] = answer.json()
    return visitor


async def merges(auth: Auth) -> list[dict[str, str]]:
    return [event for type_, event in await auth.published() if type_ == "guest.merged"]


async def test_guests_have_distinct_ids_and_publish_nothing(auth: Auth) -> None:
    one, other = await guest(auth), await guest(auth)
    assert one["guest_id"] != other["guest_id"]
    assert one["expires_in"] == 86_400
    assert await auth.published() == []


async def test_a_guest_who_logs_in_is_merged(auth: Auth) -> None:
    user, visitor = await auth.register(), await guest(auth)

    await auth.log_in(data={"guest_token": visitor["access_token"]})

    assert await merges(auth) == [{"guest_id": visitor["guest_id"], "user_id": user["id"]}]


async def test_the_guest_token_may_be_the_bearer_token(auth: Auth) -> None:
    await auth.register()
    visitor = await guest(auth)
    await auth.log_in(headers={"Authorization": f"Bearer {visitor['access_token']}"})
    assert [event["guest_id"] for event in await merges(auth)] == [visitor["guest_id"]]


async def test_a_guest_is_merged_once_into_one_account(auth: Auth) -> None:
    first = await auth.register("first@example.com")
    await auth.register("second@example.com")
    token = {"guest_token": (await guest(auth))["access_token"]}

    for email in ("first@example.com", "second@example.com", "first@example.com"):
        assert (await auth.log_in(email, data=token)).status_code == 200

    assert [event["user_id"] for event in await merges(auth)] == [first["id"]]


async def test_two_logins_at_once_merge_the_guest_once(auth: Auth) -> None:
    for email in ("first@example.com", "second@example.com"):
        await auth.register(email)
    token = {"guest_token": (await guest(auth))["access_token"]}

    answers = await asyncio.gather(
        *(auth.log_in(email, data=token) for email in ("first@example.com", "second@example.com"))
    )

    assert [a.status_code for a in answers] == [200, 200]
    assert len(await merges(auth)) == 1


async def test_a_failed_login_merges_no_guest(auth: Auth) -> None:
    await auth.register()
    await auth.log_in(password="wrong horse", data={"guest_token": (await guest(auth))["access_token"]})
    assert await merges(auth) == []


async def test_an_invalid_guest_token_is_ignored_at_login(start_auth: StartAuth) -> None:
    auth, brief = await start_auth(), await start_auth(guest_seconds=0.1, token_issuer="another-shop")
    await auth.register()
    shopper = (await auth.log_in()).json()["access_token"]
    forged = (await guest(brief))["access_token"]

    for token in ("rubbish", shopper, forged, (await guest(auth))["access_token"][:-4] + "AAAA"):
        assert (await auth.log_in(data={"guest_token": token})).status_code == 200

    assert await merges(auth) == []
