"""The hash of the network that an order is placed from."""

from pydantic import SecretStr

from chassis.http.origin import Origin
from chassis.messaging.encryption import KeyedHash
from order.checkout import network_of


def test_the_hash_of_a_network_is_keyed_and_an_unknown_address_has_none() -> None:
    one, other = (KeyedHash(_key(letter), b"networks") for letter in "ab")
    origin = Origin.at("192.0.2.1")
    assert network_of(origin, one) == network_of(origin, one) != network_of(origin, other)
    assert network_of(Origin.at("192.0.2.2"), one) != network_of(origin, one)
    assert network_of(Origin.at("nowhere"), one) is None


def _key(letter: str) -> SecretStr:
    return SecretStr(letter * 43 + "=")
