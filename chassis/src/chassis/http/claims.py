"""Parses a token's header and claims strictly, and logs rejected tokens: anything ambiguous is rejected.

Source: RFC 8725, RFC 9068.
"""

import json
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NoReturn
from uuid import UUID

import structlog
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

log = structlog.get_logger()
_MAX_KID = 64
MAX_TOKEN_LENGTH = 4096


class BadToken(ValueError):
    """A token that is rejected.

    `reason`: one of a few fixed words, for the log.
    `text`: for the caller.
    """

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


def _canonical_uuid(value: Any) -> UUID:
    """A UUID as the issuer writes it."""
    if not isinstance(value, str) or str(uuid := UUID(value)) != value:
        raise ValueError("an unusual UUID")
    return uuid


def _scopes(value: Any) -> frozenset[str]:
    if not isinstance(value, str) or not value:
        raise ValueError("not a text")
    return frozenset(value.split(" "))


Text = Annotated[str, Field(min_length=1)]
Moment = Annotated[float, Field(ge=0, lt=2**53)]  # JSON's numbers are exact only below it


class Claims(BaseModel):
    """The claims that services use. `since`, `until` and `issued` are in seconds since the epoch."""

    model_config = ConfigDict(strict=True, frozen=True)

    issuer: Any = Field(default=None, alias="iss")
    audience: Any = Field(alias="aud")
    subject: Annotated[UUID, BeforeValidator(_canonical_uuid)] = Field(alias="sub")
    role: Text
    email: Text | None = None
    scopes: Annotated[frozenset[str], BeforeValidator(_scopes)] = Field(default=frozenset(), alias="scope")
    since: Moment = Field(default=0, alias="nbf")
    until: Moment = Field(alias="exp")
    issued: Moment = Field(default=0, alias="iat")


def header_of(token: str) -> dict[str, Any]:
    """The token's header, whose signature is not verified yet. Raises BadToken."""
    if len(token) > MAX_TOKEN_LENGTH:
        raise BadToken("too long", "The token is malformed.")
    head = token.partition(".")[0]
    try:
        return _document(urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (ValueError, RecursionError) as error:
        raise BadToken("malformed", "The token is malformed.") from error


def claims_of(payload: bytes, issuer: str, audience: str) -> Claims:
    """The claims of a token whose signature is valid. Raises BadToken."""
    try:
        claims = Claims.model_validate(_document(payload))
    except (ValueError, RecursionError) as error:
        raise BadToken("claims", "A required claim of the token is missing or malformed.") from error
    if claims.issuer != issuer:
        raise BadToken("issuer", "The token is not an access token of this issuer.")
    if audience not in (claims.audience if isinstance(claims.audience, list) else [claims.audience]):
        raise BadToken("audience", "The token is for another audience.")
    return claims


def _document(text: bytes) -> dict[str, Any]:
    document = json.loads(text, object_pairs_hook=_each_once, parse_constant=_no_number)
    if not isinstance(document, dict):
        raise ValueError("not a JSON object")
    return document


def _each_once(members: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Rejects duplicate members: JSON parsers differ in which of them they take."""
    document = dict(members)
    if len(document) != len(members):
        raise ValueError("a duplicate member")
    return document


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


@dataclass
class RejectedTokenLog:
    """Logs at most `most` rejections in `seconds`; the next line then has the number of those left out."""

    most: int = 60
    seconds: float = 60
    clock: Callable[[], float] = time.monotonic
    _since: float = float("-inf")
    _logged: int = 0
    _held_back: int = 0

    def record(self, reason: str, kid: object) -> None:
        """Log a rejection, without the token itself. `kid` is what the token claims, of any type."""
        if self.clock() >= self._since + self.seconds:
            self._since, self._logged = self.clock(), 0
        if self._logged >= self.most:
            self._held_back += 1
            return
        more = {"held_back": self._held_back} if self._held_back else {}
        self._logged, self._held_back = self._logged + 1, 0
        log.info("token refused", reason=reason, kid=_printable(kid), **more)


def _printable(kid: object) -> str:
    """As a short ASCII text."""
    return str(kid)[:_MAX_KID].encode("ascii", "backslashreplace").decode()
