"""A client's network address behind trusted proxies."""

import pytest

from chassis.http.origin import Origin, client_of, networks


def test_an_origin_is_counted_by_address_and_shown_by_network() -> None:
    assert Origin.at("203.0.113.9") == Origin("203.0.113.9", "203.0.113.0/24")
    assert Origin.at("2001:db8::1").network == Origin.at("2001:db8::2").network
    assert Origin.at("::ffff:203.0.113.9") == Origin.at("203.0.113.9")
    assert Origin.at("nonsense").network == "unknown"


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("203.0.113.9, 10.0.0.1", "203.0.113.9"),
        ("203.0.113.9:4711, 10.0.0.1", "203.0.113.9"),
        ("[2001:db8::9]:4711, fd00::1, 10.0.0.1", "2001:db8::9"),
        ("198.51.100.7, 203.0.113.9, 10.0.0.2, 10.0.0.1", "203.0.113.9"),
        ("198.51.100.7, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.3, 10.0.0.2, ::ffff:10.0.0.1", "10.0.0.3"),
        ("203.0.113.9, unknown, 10.0.0.1", "10.0.0.1"),
        (", 10.0.0.1", "10.0.0.1"),
        ("nonsense", ""),
        ("", ""),
    ],
)
def test_the_client_is_the_last_entry_that_is_no_trusted_proxy(forwarded: str, client: str) -> None:
    trusted = networks("10.0.0.0/24, fd00::/8")
    assert client_of(forwarded.split(","), trusted) == client
