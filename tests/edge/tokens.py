"""Tokens good and bad, as a table asks for them."""

import time
from typing import Any

from chassis.testing import TokenMint, signing_key

_MINTS = {
    kid: TokenMint("saga-shop", "saga-shop", key=signing_key(kid)) for kid in ("current", "other", "stranger")
}
KEY_SET = {"keys": [*_MINTS["current"].jwks["keys"], *_MINTS["other"].jwks["keys"]]}


def token(wish: dict[str, Any] | str) -> str:
    """The token that a table describes: a text as it is, or what differs from a good one.

    `signed_by` names the key, `alg` the algorithm, `kid` and `payload_kid` stand in header and claims, `exp`
    is seconds from now or anything that is not a number, `header` and `claims` come on top; None leaves a
    member out.
    """
    if isinstance(wish, str):
        return wish
    signed_by = wish.get("signed_by", "current")
    exp = wish.get("exp", 600)
    claims = {
        "exp": int(time.time()) + exp if isinstance(exp, int) else exp,
        "kid": wish.get("payload_kid"),
        **wish.get("claims", {}),
    }
    return _MINTS[signed_by].token(
        "1",
        algorithm=wish.get("alg", "ES256"),
        header={"kid": wish.get("kid", signed_by), **wish.get("header", {})},
        **claims,
    )
