"""The client's network address, from `X-Forwarded-For` as far as its entries come from trusted proxies."""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from pydantic import BeforeValidator
from pydantic_settings import NoDecode

from chassis.http.provided import Provided

_IPV6_CUSTOMER = 64  # the prefix that one customer usually has
_IPV4_SHOWN = 24
_UNKNOWN = "unknown"
_WITH_PORT = re.compile(r"(?:\[([^]]+)\]|([0-9.]+)):[0-9]+")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Origin:
    """A client's origin.

    `network`: for counting attempts: the IPv4 address, or the IPv6 network of 64 bits.
    `shown`: for logs: coarser, so that it identifies no person.
    """

    network: str
    shown: str

    @property
    def is_known(self) -> bool:
        return self.network != _UNKNOWN

    @classmethod
    def at(cls, text: str) -> "Origin":
        """The origin with this address."""
        ip = _address(text)
        if ip is None:
            return cls(_UNKNOWN, _UNKNOWN)
        if isinstance(ip, ipaddress.IPv6Address):
            customer = str(ipaddress.ip_network((ip, _IPV6_CUSTOMER), strict=False))
            return cls(customer, customer)
        return cls(str(ip), str(ipaddress.ip_network((ip, _IPV4_SHOWN), strict=False)))


def networks(text: str) -> tuple[Network, ...]:
    """Addresses and CIDR blocks, comma-separated. Raises ValueError."""
    return tuple(ipaddress.ip_network(one.strip()) for one in text.split(",") if one.strip())


@dataclass(frozen=True)
class Proxies:
    """The networks of the proxies in front of the gateway whose `X-Forwarded-For` entries are trusted."""

    networks: tuple[Network, ...] = ()


def _named(given: str | Proxies) -> Proxies:
    return Proxies(networks(given)) if isinstance(given, str) else given


TrustedProxies = Annotated[Proxies, NoDecode, BeforeValidator(_named)]
"""A setting: addresses and CIDR blocks, comma-separated. A service with this setting provides it."""


def client_of(forwarded: Sequence[str], trusted: Sequence[Network]) -> str:
    """The client's address: the last entry that is not a trusted proxy's.

    Each proxy appends the address that it was called from; the last entry comes from the gateway. If that is
    a trusted proxy's address, the entry before it was written by that proxy, and so on. Entries further left
    may have been forged by the client.
    """
    client = ""
    for entry in reversed(forwarded):
        ip = _address(entry.strip())
        if ip is None:
            break
        client = str(ip)
        if not any(ip in network for network in trusted):
            break
    return client


async def origin(request: Request, trusted: Provided[Proxies]) -> Origin:
    """The client's origin, from `X-Forwarded-For`, or without a gateway from the socket."""
    forwarded = ",".join(request.headers.getlist("x-forwarded-for"))
    client: Any = request.client
    entries = forwarded.split(",") if forwarded else [client.host if client else ""]
    return Origin.at(client_of(entries, trusted.networks))


def _address(text: str) -> Address | None:
    """The address in an entry. Some proxies append the port, and a dual-stack socket maps IPv4 to IPv6."""
    with_port = _WITH_PORT.fullmatch(text)
    try:
        ip = ipaddress.ip_address(with_port[1] or with_port[2] if with_port else text)
    except ValueError:
        return None
    return getattr(ip, "ipv4_mapped", None) or ip


FromWhere = Annotated[Origin, Depends(origin)]
