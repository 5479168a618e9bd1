"""Tokens good and bad, as a table asks for them."""

import time
from typing import Any

from joserfc.jwk import ECKey

from tests.forging import signed

CURRENT, OTHER, STRANGER = (
    ECKey.generate_key("P-256", {"kid": kid}) for kid in ("current", "other", "stranger")
)
KEY_SET = {"keys": [key.as_dict(private=False) for key in (CURRENT, OTHER)]}
_KEYS = {"current": CURRENT, "other": OTHER, "stranger": STRANGER}


def token(wish: dict[str, Any] | str) -> str:
    """The token that a table describes: a text as it is, or what differs from a good one.

    `signed_by` names the key, `alg` the algorithm, `kid` and `payload_kid` stand in header and claims, `exp`
    is seconds from now or anything that is not a number, `header` and `claims` come on top; None leaves a
    member out.
    """
    if isinstance(wish, str):
        return wish
    signed_by = wish.get("signed_by", "current")
    algorithm = wish.get("alg", "ES256")
    header = {"alg": algorithm, "typ": "at+jwt", "kid": wish.get("kid", signed_by), **wish.get("header", {})}
    exp = wish.get("exp", 600)
    claims = {
        "sub": "1",
        "exp": int(time.time()) + exp if isinstance(exp, int) else exp,
        "kid": wish.get("payload_kid"),
        **wish.get("claims", {}),
    }
    return signed(_given(header), _given(claims), _KEYS[signed_by], algorithm)


def _given(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
