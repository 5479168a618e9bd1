import base64
import hashlib

from shop.broker.topology import moved_to, password_hash, render

_DECLARED = {
    "vhosts": [{"name": "/"}],
    "users": [{"name": "order", "password_hash": "", "tags": []}],
    "permissions": [{"user": "order", "vhost": "/", "configure": "", "write": "^events$", "read": ""}],
    "queues": [{"name": "order", "vhost": "/", "durable": True}],
}


def test_a_password_hash_is_what_rabbitmq_computes_from_its_salt() -> None:
    raw = base64.b64decode(password_hash("secret", "order"))

    assert raw[4:] == hashlib.sha256(raw[:4] + b"secret").digest()


def test_two_users_with_one_password_have_different_hashes() -> None:
    assert password_hash("secret", "order") != password_hash("secret", "payment")


def test_the_same_secrets_give_the_same_file() -> None:
    assert render(_DECLARED, "operator", str.upper) == render(_DECLARED, "operator", str.upper)


def test_every_user_gets_a_password_and_the_operator_is_an_administrator() -> None:
    users = {user["name"]: user for user in render(_DECLARED, "operator", str.upper)["users"]}

    assert users["order"]["password_hash"] == password_hash("ORDER", "order")
    assert users["operator"]["tags"] == ["administrator"]


def test_the_operator_may_do_everything_and_a_service_what_was_declared() -> None:
    grants = render(_DECLARED, "operator", str.upper)["permissions"]

    assert {grant["user"]: grant["write"] for grant in grants} == {"order": "^events$", "operator": ".*"}


def test_a_topology_moves_to_another_virtual_host_as_a_whole() -> None:
    moved = moved_to("test", _DECLARED)

    assert moved["vhosts"] == [{"name": "test"}]
    assert {entry["vhost"] for kind in ("permissions", "queues") for entry in moved[kind]} == {"test"}
    assert moved["users"] == _DECLARED["users"]
