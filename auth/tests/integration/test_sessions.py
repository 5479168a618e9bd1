"""Logging in, refreshing, logging out."""

import asyncio

from joserfc import jwt
from joserfc.jwk import KeySet

from auth.passwords import Passwords
from auth.tokens import RefreshToken

from ..conftest import Auth, StartAuth


async def test_logging_in_gives_an_access_token_as_of_rfc_9068(auth: Auth) -> None:
    user = await auth.register()

    answer = await auth.log_in()

    tokens = answer.json()
    assert answer.headers["cache-control"] == "no-store"
    assert tokens["token_type"] == "Bearer"
    assert tokens["expires_in"] == 900
    assert tokens["scope"] == "account:read account:write"
    keys = KeySet.import_key_set((await auth.http.get("/.well-known/jwks.json")).json())
    token = jwt.decode(tokens["access_token"], keys, algorithms=["ES256"])
    assert token.header == {"alg": "ES256", "typ": "at+jwt", "kid": keys.keys[0].kid}
    claims = token.claims
    assert claims["exp"] - claims["iat"] == 900
    assert len(claims["jti"]) == 32
    assert {name: claims[name] for name in ("iss", "aud", "sub", "client_id", "role", "scope", "email")} == {
        "iss": "saga-shop",
        "aud": "saga-shop",
        "sub": user["id"],
        "client_id": "storefront",
        "role": "shopper",
        "scope": "account:read account:write",
        "email": "ada@example.com",
    }


async def test_a_wrong_address_and_a_wrong_password_get_the_same_response(auth: Auth) -> None:
    await auth.register()

    wrong = [await auth.log_in(password="wrong horse"), await auth.log_in("nobody@example.com")]

    for answer in wrong:
        assert answer.status_code == 400
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["error"] == "invalid_grant"
    assert wrong[0].content == wrong[1].content


async def test_an_invalid_form_gets_an_oauth_error(auth: Auth) -> None:
    for form, error in (
        ({"grant_type": "password", "username": "ada@example.com"}, "invalid_request"),
        ({"grant_type": "client_credentials", "username": "a", "password": "b"}, "unsupported_grant_type"),
        ({"grant_type": "password", "username": "a" * 400, "password": "secret one"}, "invalid_request"),
        ({"grant_type": "password", "username": "a\0b", "password": "secret one"}, "invalid_request"),
    ):
        answer = await auth.http.post("/v1/token", data=form)
        assert answer.status_code == 400
        assert answer.json()["error"] == error
        assert answer.json()["error_description"] == answer.json()["detail"]
        assert "secret one" not in answer.text


async def test_extra_fields_that_swagger_sends_are_ignored(auth: Auth) -> None:
    await auth.register()
    more = {"scope": "", "client_id": "", "client_secret": ""}
    answer = await auth.log_in(data=more, headers={"Authorization": "Basic Og=="})
    assert answer.status_code == 200


async def test_refresh_tokens_rotate(auth: Auth) -> None:
    await auth.register()
    first = (await auth.log_in()).json()["refresh_token"]

    second = (await auth.refresh(first)).json()["refresh_token"]
    third = await auth.refresh(second)

    assert third.status_code == 200
    assert len({first, second, third.json()["refresh_token"]}) == 3


async def test_a_client_that_lost_the_answer_gets_the_same_token_again(auth: Auth) -> None:
    await auth.register()
    first = (await auth.log_in()).json()["refresh_token"]
    lost = (await auth.refresh(first)).json()["refresh_token"]

    again = await auth.refresh(first)

    assert again.json()["refresh_token"] == lost
    assert (await auth.refresh(lost)).status_code == 200


async def test_using_a_refresh_token_after_the_grace_ends_the_session(auth: Auth) -> None:
    await auth.register()
    first = (await auth.log_in()).json()["refresh_token"]
    second = (await auth.refresh(first)).json()["refresh_token"]
    await auth.database.execute("UPDATE session SET renewed_at = renewed_at - interval '10 seconds'")

    assert (await auth.refresh(first)).json()["error"] == "invalid_grant"
    assert (await auth.refresh(second)).json()["error"] == "invalid_grant"


async def test_without_a_grace_each_refresh_token_can_be_used_once(start_auth: StartAuth) -> None:
    auth = await start_auth(refresh_grace_seconds=0)
    await auth.register()
    first = (await auth.log_in()).json()["refresh_token"]
    await auth.refresh(first)
    assert (await auth.refresh(first)).status_code == 400


async def test_a_theft_ends_one_session_and_no_other(start_auth: StartAuth) -> None:
    auth = await start_auth(refresh_grace_seconds=0)
    await auth.register()
    stolen, other = [(await auth.log_in()).json()["refresh_token"] for _ in range(2)]
    await auth.refresh(stolen)
    await auth.refresh(stolen)
    assert (await auth.refresh(other)).status_code == 200


async def test_concurrent_refreshes_in_two_replicas_give_one_successor(start_auth: StartAuth) -> None:
    replicas = [await start_auth() for _ in range(2)]
    await replicas[0].register()
    token = (await replicas[0].log_in()).json()["refresh_token"]

    answers = await asyncio.gather(*(replica.refresh(token) for replica in replicas * 4))

    assert [a.status_code for a in answers] == [200] * 8
    [successor] = {a.json()["refresh_token"] for a in answers}
    assert (await replicas[1].refresh(successor)).status_code == 200


async def test_logging_out_ends_the_session_with_any_of_its_tokens(auth: Auth) -> None:
    await auth.register()
    first = (await auth.log_in()).json()["refresh_token"]
    second = (await auth.refresh(first)).json()["refresh_token"]

    assert (await auth.http.post("/v1/logout", data={"refresh_token": first})).status_code == 204
    assert (await auth.refresh(second)).status_code == 400
    assert (await auth.http.post("/v1/logout", data={"refresh_token": "never one"})).status_code == 204


async def test_an_idle_session_expires(start_auth: StartAuth) -> None:
    auth = await start_auth(session_idle_seconds=0.001)
    await auth.register()
    token = (await auth.log_in()).json()["refresh_token"]
    assert (await auth.refresh(token)).status_code == 400


async def test_no_refresh_token_can_be_read_from_the_database(auth: Auth) -> None:
    await auth.register()
    token = (await auth.log_in()).json()["refresh_token"]
    for latest in (token, (await auth.refresh(token)).json()["refresh_token"]):
        kept = await auth.database.fetchrow("SELECT * FROM session")
        assert len(kept["secret_hash"]) == 32
        assert latest not in str(kept)
        parsed = RefreshToken.parse(latest)
        assert parsed is not None
        assert parsed.secret not in dict(kept).values()


async def test_no_password_matches_an_unknown_user() -> None:
    passwords = Passwords(threads=1, queue=1)
    hashed = await passwords.hash("correct horse")
    assert await passwords.verify(hashed, "correct horse")
    assert not await passwords.verify(hashed, "wrong horse")
    assert not await passwords.verify("no hash", "correct horse")
    assert not await passwords.verify(None, "correct horse")
    await passwords.aclose()
