"""Confirming an account's address."""

from chassis.messaging.encryption import Cipher

from ..conftest import CONTACT_KEY, Auth, StartAuth


async def tokens(auth: Auth, event: str) -> list[str]:
    cipher = Cipher([CONTACT_KEY])
    return [cipher.decrypt(data["token"]) for type_, data in await auth.published() if type_ == event]


async def bearing(auth: Auth) -> dict[str, str]:
    return {"Authorization": f"Bearer {(await auth.log_in()).json()['access_token']}"}


async def is_verified(auth: Auth, headers: dict[str, str]) -> bool:
    verified: bool = (await auth.http.get("/v1/users/me", headers=headers)).json()["email_verified"]
    return verified


async def confirm(auth: Auth, token: str) -> int:
    return (await auth.http.post("/v1/email-confirmations", json={"token": token})).status_code


async def test_the_token_of_the_welcome_confirms_the_address_once(auth: Auth) -> None:
    await auth.register()
    headers = await bearing(auth)
    assert not await is_verified(auth, headers)
    [token] = await tokens(auth, "user.registered")

    assert await confirm(auth, token) == 204

    assert await is_verified(auth, headers)
    assert await confirm(auth, token) == 422


async def test_another_mail_can_be_asked_for_until_the_address_is_confirmed(auth: Auth) -> None:
    await auth.register()
    headers = await bearing(auth)
    assert (await auth.http.post("/v1/users/me/confirmation", headers=headers)).status_code == 202
    [token] = await tokens(auth, "user.confirmation_requested")
    assert await confirm(auth, token) == 204
    again = await auth.http.post("/v1/users/me/confirmation", headers=headers)
    assert again.status_code == 409
    assert again.json()["type"] == "/problems/already-confirmed"


async def test_mails_to_confirm_an_address_are_limited(start_auth: StartAuth) -> None:
    auth = await start_auth(mails_per_address=1)
    await auth.register()
    headers = await bearing(auth)
    answers = [await auth.http.post("/v1/users/me/confirmation", headers=headers) for _ in range(2)]
    assert [a.status_code for a in answers] == [202, 429]


async def test_a_reset_confirms_the_address_for_its_token_was_mailed_there(auth: Auth) -> None:
    await auth.register()
    headers = await bearing(auth)
    await auth.http.post("/v1/password-resets", json={"email": "ada@example.com"})
    [token] = await tokens(auth, "user.password_reset_requested")
    body = {"token": token, "password": "a new password"}
    assert (await auth.http.post("/v1/password-resets/complete", json=body)).status_code == 204
    assert await is_verified(auth, headers)


async def test_a_token_to_confirm_the_address_sets_no_password(auth: Auth) -> None:
    await auth.register()
    [token] = await tokens(auth, "user.registered")
    body = {"token": token, "password": "a new password"}
    assert (await auth.http.post("/v1/password-resets/complete", json=body)).status_code == 422
