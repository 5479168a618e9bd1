"""Registration and accounts."""

from argon2 import PasswordHasher

from auth.passwords import Passwords
from chassis.messaging.encryption import Cipher

from ..conftest import CONTACT_KEY, Auth, StartAuth


async def test_registering_creates_an_account_and_publishes_it_with_an_encrypted_address(auth: Auth) -> None:
    user = await auth.register("Ada@Example.com")

    assert user["email"] == "ada@example.com"
    assert user["role"] == "shopper"
    [(type_, event)] = await auth.published()
    assert type_ == "user.registered"
    assert event["user_id"] == user["id"]
    assert "ada" not in event["contact"]
    assert Cipher([CONTACT_KEY]).decrypt(event["contact"]) == "ada@example.com"


async def test_the_password_is_stored_as_argon2id_only(auth: Auth) -> None:
    await auth.register(password="correct horse")

    kept = await auth.database.fetchval("SELECT password_hash FROM account")
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_an_address_has_one_account_whatever_its_case(auth: Auth) -> None:
    await auth.register("ada@example.com")

    again = await auth.http.post("/v1/users", json={"email": "ADA@example.COM", "password": "other horse"})

    assert again.status_code == 409
    assert again.json()["type"] == "/problems/email-taken"
    assert len(await auth.published()) == 1


async def test_an_invalid_registration_is_rejected_with_a_pointer(auth: Auth) -> None:
    for body, pointer in (
        ({"email": "nobody", "password": "correct horse"}, "/email"),
        ({"email": "ada@example.com", "password": "short"}, "/password"),
        ({"email": "ada@example.com", "password": "correct horse", "role": "admin"}, "/role"),
        ({"email": "ada@example.com\r\nBcc: x@example.com", "password": "correct horse"}, "/email"),
    ):
        answer = await auth.http.post("/v1/users", json=body)
        assert answer.status_code == 422
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
        assert "correct horse" not in answer.text


async def test_a_password_is_unicode(auth: Auth) -> None:
    body = '{"email": "ada@example.com", "password": "half a pair: \\ud800"}'
    answer = await auth.http.post("/v1/users", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/password"


async def test_the_address_is_rejected_as_a_password(auth: Auth) -> None:
    body = {"email": "adalovelace@example.com", "password": "AdaLovelace"}
    answer = await auth.http.post("/v1/users", json=body)
    assert answer.status_code == 422
    assert answer.json()["type"] == "/problems/password-is-address"


async def test_an_access_token_identifies_its_account(auth: Auth) -> None:
    user = await auth.register()
    token = (await auth.log_in()).json()["access_token"]

    me = await auth.http.get("/v1/users/me", headers={"Authorization": f"Bearer {token}"})

    assert me.json() == user


async def test_guests_have_no_account(auth: Auth) -> None:
    assert (await auth.http.get("/v1/users/me")).status_code == 401
    guest = (await auth.http.post("/v1/guests")).json()["access_token"]
    answer = await auth.http.get("/v1/users/me", headers={"Authorization": f"Bearer {guest}"})
    assert answer.status_code == 403


async def test_the_first_admin_is_created_once(start_auth: StartAuth) -> None:
    named = {"admin_email": "Root@example.com", "admin_password": "a long secret"}
    auth = await start_auth(**named)
    again = await start_auth(**named | {"admin_password": "another secret"})

    assert await auth.database.fetchval("SELECT count(*) FROM account WHERE role = 'admin'") == 1
    for replica in (auth, again):
        token = (await replica.log_in("root@example.com", "a long secret")).json()["access_token"]
        me = await replica.http.get("/v1/users/me", headers={"Authorization": f"Bearer {token}"})
        assert me.json()["role"] == "admin"
    assert await auth.published() == []


async def test_a_shopper_with_the_admins_address_is_not_promoted(start_auth: StartAuth) -> None:
    auth = await start_auth()
    await auth.register("root@example.com")

    await start_auth(admin_email="root@example.com", admin_password="a long secret")

    assert await auth.database.fetchval("SELECT role FROM account") == "shopper"


async def test_the_warehouse_may_fulfil_and_no_more(start_auth: StartAuth) -> None:
    auth = await start_auth(warehouse_email="parcels@example.com", warehouse_password="a long secret")
    token = (await auth.log_in("parcels@example.com", "a long secret")).json()
    assert token["scope"] == "orders:read-all orders:fulfil"
    me = await auth.http.get("/v1/users/me", headers={"Authorization": f"Bearer {token['access_token']}"})
    assert me.status_code == 403


async def test_a_hash_with_older_parameters_is_renewed_at_login(auth: Auth) -> None:
    await auth.register(password="correct horse")
    weak = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash("correct horse")
    await auth.database.execute("UPDATE account SET password_hash = $1", weak)

    assert (await auth.log_in()).status_code == 200

    kept = await auth.database.fetchval("SELECT password_hash FROM account")
    assert not Passwords(threads=1, queue=1).outdated(kept)
