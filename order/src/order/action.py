"""What the shopper's bank asks of her: where she may come back to, and who is shown the link to its page."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import structlog
from pydantic import AfterValidator

from chassis.messaging.encryption import Cipher, NotDecryptable

log = structlog.get_logger()

# Strict where browsers and the provider differ: no user, and after the port nothing but what RFC 3986 has.
_REST = r"(?:[A-Za-z0-9\-._~:/?#@!$&'()*+,;=]|%[0-9A-Fa-f]{2})*"
_URL = re.compile(rf"(https?)://([A-Za-z0-9.-]+)(?::([0-9]{{1,5}}))?([/?#]{_REST})?")
_DEFAULT_PORTS = {"https": "443", "http": "80"}
_LOCAL = ("localhost", "127.0.0.1")


def origin_of(url: str) -> str:
    """Scheme, host and port, as browsers compare them. Raises ValueError where there is no telling."""
    found = _URL.fullmatch(url)
    if found is None:
        raise ValueError("must be an absolute URL of https or http, without a user, in ASCII")
    scheme, host, port, _ = found.groups()
    at = "" if port in (None, _DEFAULT_PORTS[scheme]) else f":{port}"
    return f"{scheme}://{host.lower()}{at}"


class AllowedOrigins(frozenset[str]):
    """Where the bank's page may send a shopper back to."""


def origins(text: str) -> AllowedOrigins:
    """Origins, comma-separated. Raises ValueError for what is none, or neither https nor on this machine."""
    listed = [one.strip() for one in text.split(",") if one.strip()]
    for one in listed:
        found = _URL.fullmatch(one)
        if found is None or found[4]:
            raise ValueError(f"must be an origin, without a path: {one}")
        if found[1] != "https" and found[2] not in _LOCAL:
            raise ValueError(f"must be https, or http on localhost: {one}")
    return AllowedOrigins(origin_of(one) for one in listed)


def _listed(text: str) -> str:
    origins(text)
    return text


ReturnOrigins = Annotated[str, AfterValidator(_listed)]
"""A setting: where shoppers may come back to from their bank's page; origins, comma-separated."""


class Actions:
    """Shows the link to the bank's page to the shopper and to nobody else: whoever has it can act for her."""

    def __init__(self, cipher: Cipher) -> None:
        self._cipher = cipher

    def of(self, row: Mapping[str, Any], reader: UUID) -> dict[str, Any] | None:
        """What the order's shopper is to do while it is pending, if she is the reader and still may."""
        if row["action_url"] is None or row["status"] != "pending" or row["shopper_id"] != reader:
            return None
        if row["action_expires_at"] <= datetime.now(UTC):
            return None
        try:
            url = self._cipher.decrypt(row["action_url"])
        except NotDecryptable:
            log.error("the bank's page is sealed with another ACTION_KEY", order_id=str(row["order_id"]))
            return None
        return {"url": url, "expires_at": row["action_expires_at"]}
