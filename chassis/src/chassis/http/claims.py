"""What a token says, read strictly: what could be read in two ways is refused. Source: RFC 8725, RFC 9068."""

import json
from base64 import urlsafe_b64decode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn
from uuid import UUID

LONGEST_TOKEN = 4096
_LAST_MOMENT = 2**53  # beyond it JSON's numbers are no longer exact, and infinity lies


class BadToken(ValueError):
    """`reason` is one of a few words that never change, for the log; the text is for the caller."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Claims:
    """What a service needs to know. `since` and `until` are seconds of the epoch."""

    subject: UUID
    role: str
    email: str | None
    scopes: frozenset[str]
    since: float
    until: float


def header_of(token: str) -> dict[str, Any]:
    """The first part, not yet authentic. Raises BadToken."""
    if len(token) > LONGEST_TOKEN:
        raise BadToken("too long", "The token is malformed.")
    head = token.partition(".")[0]
    try:
        return _document(urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (ValueError, RecursionError) as error:
        raise BadToken("malformed", "The token is malformed.") from error


def claims_of(payload: bytes, issuer: str, audience: str) -> Claims:
    """The claims of a token whose signature is good. Raises BadToken."""
    try:
        said = _document(payload)
        audiences = said["aud"] if isinstance(said["aud"], list) else [said["aud"]]
        claims = Claims(
            subject=_uuid(said["sub"]),
            role=_text(said["role"]),
            email=None if said.get("email") is None else _text(said["email"]),
            scopes=frozenset(_text(said["scope"]).split(" ") if "scope" in said else ()),
            since=_moment(said.get("nbf", 0)),
            until=_moment(said["exp"]),
        )
        _moment(said.get("iat", 0))
    except (KeyError, ValueError, RecursionError) as error:
        raise BadToken("claims", "The token is without a claim that it needs.") from error
    if said.get("iss") != issuer:
        raise BadToken("issuer", "The token is no access token of this issuer.")
    if audience not in audiences:
        raise BadToken("audience", "The token is meant for another audience.")
    return claims


def _document(text: bytes) -> dict[str, Any]:
    document = json.loads(text, object_pairs_hook=_each_once, parse_constant=_no_number)
    if not isinstance(document, dict):
        raise ValueError("no JSON object")
    return document


def _each_once(members: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Readers differ in which of two members of one name they believe."""
    document = dict(members)
    if len(document) != len(members):
        raise ValueError("a member stands there twice")
    return document


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _moment(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LAST_MOMENT:
        raise ValueError("no moment")
    return float(value)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("no text")
    return value


def _uuid(value: Any) -> UUID:
    """In the one way of writing it that the issuer has."""
    uuid = UUID(_text(value))
    if str(uuid) != value:
        raise ValueError("an unusual UUID")
    return uuid
