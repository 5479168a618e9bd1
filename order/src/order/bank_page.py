"""Confirming a payment with the bank: where the bank's page may send the shopper back to, and who sees its
link."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import structlog
from pydantic import AfterValidator

from chassis.messaging.encryption import Cipher, NotDecryptable

log = structlog.get_logger()

# Strict where browsers and the provider differ: no user, and after the port only the characters of RFC 3986.
_REST = r"(?:[A-Za-z0-9\-._~:/?#@!$&'()*+,;=]|%[0-9A-Fa-f]{2})*"
_URL = re.compile(rf"(https?)://([A-Za-z0-9.-]+)(?::([0-9]{{1,5}}))?([/?#]{_REST})?")
_DEFAULT_PORTS = {"https": "443", "http": "80"}
_LOCAL = ("localhost", "127.0.0.1")


def origin_of(url: str) -> str:
    """Scheme, host and port, as browsers compare them. Raises ValueError if the URL is ambiguous."""
    found = _URL.fullmatch(url)
    if found is None:
        raise ValueError("must be an absolute URL of https or http, without a user, in ASCII")
    scheme, host, port, _ = found.groups()
    at = "" if port in (None, _DEFAULT_PORTS[scheme]) else f":{port}"
    return f"{scheme}://{host.lower()}{at}"


def with_order_id(url: str, order_id: UUID) -> str:
    """The URL with the order's id in place of `{order_id}`."""
    return url.replace("{order_id}", str(order_id))


def objection(url: str, allowed: frozenset[str]) -> str | None:
    """Why the bank's page may not send a shopper to this URL, which may contain `{order_id}`, or None."""
    try:
        origin = origin_of(with_order_id(url, UUID(int=0)))
    except ValueError as error:
        return f"The return URL {error}."
    return None if origin in allowed else f"{origin} is not one of the shop's origins."


def origins(text: str) -> frozenset[str]:
    """From a comma-separated list. Raises ValueError for what is not an origin, or neither https nor
    local."""
    listed = [one.strip() for one in text.split(",") if one.strip()]
    for one in listed:
        found = _URL.fullmatch(one)
        if found is None or found[4]:
            raise ValueError(f"must be an origin, without a path: {one}")
        if found[1] != "https" and found[2] not in _LOCAL:
            raise ValueError(f"must be https, or http on localhost: {one}")
    return frozenset(origin_of(one) for one in listed)


def _listed(text: str) -> str:
    origins(text)
    return text


ReturnOrigins = Annotated[str, AfterValidator(_listed)]
"""A setting: the origins that a bank's page may send shoppers back to, comma-separated."""


class Actions:
    """Shows the link to the bank's page only to the shopper: anyone who has it can act for her."""

    def __init__(self, cipher: Cipher) -> None:
        self._cipher = cipher

    def of(self, row: Mapping[str, Any], reader: UUID) -> dict[str, Any] | None:
        """The link, if the reader is the shopper of the pending order and can still confirm; otherwise
        None."""
        if row["action_url"] is None or row["status"] != "pending" or row["shopper_id"] != reader:
            return None
        if row["action_expires_at"] <= datetime.now(UTC):
            return None
        try:
            url = self._cipher.decrypt(row["action_url"])
        except NotDecryptable:
            log.error(
                "action_url is encrypted with a key that ACTION_KEY lacks", order_id=str(row["order_id"])
            )
            return None
        return {"url": url, "expires_at": row["action_expires_at"]}
