"""What an account takes along, and its deletion."""

from uuid import uuid4

from chassis.messaging.encryption import Cipher

from ..conftest import CONTACT_KEY, Auth

TABLES = ("account", "session", "mailed_token", "merged_guest", "attempt", "outbox", "address")


ADDRESS = {"name": "Ada Neri", "street": "1 Main St", "city": "Hull", "postcode": "HU1", "country": "GB"}


def bearing(tokens: dict[str, str]) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens['access_token']}"}


async def delete(auth: Auth, tokens: dict[str, str], password: str = "correct horse") -> int:
    body = {"password": password}
    answer = await auth.http.post("/v1/users/me/deletion", json=body, headers=bearing(tokens))
    return answer.status_code


async def save_address(auth: Auth, tokens: dict[str, str]) -> None:
    path = f"/v1/users/me/addresses/{uuid4()}"
    answer = await auth.http.put(path, json={"address": ADDRESS}, headers=bearing(tokens))
    assert answer.status_code == 200, answer.text


async def test_a_deleted_account_cannot_log_in_and_its_sessions_have_ended(auth: Auth) -> None:
    user = await auth.register()
    tokens = (await auth.log_in()).json()

    assert await delete(auth, tokens) == 204

    assert (await auth.log_in()).status_code == 400
    assert (await auth.refresh(tokens["refresh_token"])).status_code == 400
    assert (await auth.http.get("/v1/users/me", headers=bearing(tokens))).status_code == 404
    type_, event = (await auth.published())[-1]
    assert (type_, event["user_id"]) == ("user.deleted", user["id"])
    assert Cipher([CONTACT_KEY]).decrypt(event["contact"]) == "ada@example.com"


async def test_nothing_is_left_of_a_deleted_account_but_which_guests_it_was(auth: Auth) -> None:
    user = await auth.register()
    guest = (await auth.http.post("/v1/guests")).json()
    tokens = (await auth.log_in(data={"guest_token": guest["access_token"]})).json()
    await auth.http.post("/v1/password-resets", json={"email": "ada@example.com"})
    await save_address(auth, tokens)
    await delete(auth, tokens)
    await auth.database.execute("DELETE FROM outbox")

    for table in TABLES:
        rows = str([dict(row) for row in await auth.database.fetch(f"SELECT * FROM {table}")])
        assert "ada@example.com" not in rows
        assert ADDRESS["name"] not in rows
        assert (user["id"] in rows) == (table == "merged_guest")


async def test_a_guest_of_a_deleted_account_is_merged_into_no_other(auth: Auth) -> None:
    guest = {"guest_token": (await auth.http.post("/v1/guests")).json()["access_token"]}
    await auth.register()
    await delete(auth, (await auth.log_in(data=guest)).json())
    await auth.register("eve@example.com")
    await auth.log_in("eve@example.com", data=guest)
    assert [type_ for type_, _ in await auth.published()].count("guest.merged") == 1


async def test_a_deleted_address_can_register_anew_as_another_account(auth: Auth) -> None:
    first = await auth.register()
    await delete(auth, (await auth.log_in()).json())
    second = await auth.register(password="another horse")
    assert second["id"] != first["id"]
    assert (await auth.log_in()).status_code == 400
    assert (await auth.log_in(password="another horse")).status_code == 200


async def test_a_wrong_password_deletes_nothing(auth: Auth) -> None:
    await auth.register()
    tokens = (await auth.log_in()).json()
    assert await delete(auth, tokens, "wrong horse") == 403
    assert (await auth.refresh(tokens["refresh_token"])).status_code == 200
    assert await delete(auth, tokens) == 204
    assert await delete(auth, tokens) == 404


async def test_an_export_has_all_that_is_known_and_says_where_the_rest_is(auth: Auth) -> None:
    user = await auth.register()
    guest = (await auth.http.post("/v1/guests")).json()
    tokens = (await auth.log_in(data={"guest_token": guest["access_token"]})).json()
    await auth.refresh(tokens["refresh_token"])
    await save_address(auth, tokens)

    answer = await auth.http.get("/v1/users/me/export", headers=bearing(tokens))

    document = answer.json()
    assert document["account"] == user
    [session] = document["sessions"]
    assert session["started_at"] < session["renewed_at"] < session["expires_at"]
    assert [one["guest_id"] for one in document["guests"]] == [guest["guest_id"]]
    [saved] = document["addresses"]
    assert ADDRESS.items() <= saved["address"].items()
    assert [one["href"] for one in document["elsewhere"]] == ["/v1/orders", "/v1/cart/lines"]
    for secret in ("argon2", tokens["refresh_token"], "hash", "salt"):
        assert secret not in answer.text
