"""The origins that the bank's page may send shoppers back to."""

from typing import Any

import pytest

from order.bank_page import origin_of, origins
from order.settings import Settings


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://shop.example", "https://shop.example"),
        ("https://Shop.Example:443/a?b=c@d#e", "https://shop.example"),
        ("https://shop.example:8443?x", "https://shop.example:8443"),
        ("http://localhost:3000/", "http://localhost:3000"),
        ("https://shop.example@evil.example/", None),
        ("https://user:pw@shop.example/", None),
        ("https://evil.example\\@shop.example/", None),
        ("https://shop.example\\.evil.example/", None),
        ("https:/shop.example", None),
        ("//shop.example/", None),
        ("/orders/return", None),
        ("javascript://shop.example/%0aalert(1)", None),
        ("https://shop.example/\r\nSet-Cookie: a=b", None),
        ("https://shop.example/ü", None),
        ("https://shop.example/%zz", None),
        ('https://shop.example/"><script>', None),
        ("https://shop.example/%C3%BC?a=[b]", None),
        ("https://shop.example/%C3%BC?a=%5Bb%5D", "https://shop.example"),
        ("https://şhop.example/", None),
        (" https://shop.example", None),
        ("https://[::1]/", None),
        ("", None),
    ],
)
def test_an_origin_is_parsed_as_browsers_do_or_refused(url: str, origin: str | None) -> None:
    if origin is not None:
        assert origin_of(url) == origin
        return
    with pytest.raises(ValueError, match="absolute URL"):
        origin_of(url)


@pytest.mark.parametrize(
    "setting",
    ["https://shop.example/path", "http://shop.example", "shop.example", "*", "https://a, http://b"],
)
def test_return_origins_are_https_or_local(setting: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        origins(setting)
    given: dict[str, Any] = {"return_origins": setting}
    with pytest.raises(ValueError, match="must be"):
        Settings(**given)


def test_return_origins_may_be_several_or_none() -> None:
    assert origins(" https://shop.example:443 ,http://127.0.0.1:3000,") == frozenset(
        {"https://shop.example", "http://127.0.0.1:3000"}
    )
    assert origins("") == frozenset()
