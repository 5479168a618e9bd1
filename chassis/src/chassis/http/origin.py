"""Where a request comes from, as far as the proxies in front can be believed."""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from pydantic import AfterValidator

from chassis.http.provided import Provided

_IPV6_CUSTOMER = 64
_IPV4_SHOWN = 24
_UNKNOWN = "unknown"
_WITH_PORT = re.compile(r"(?:\[([^]]+)\]|([0-9.]+)):[0-9]+")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Origin:
    """`network` is what attempts are counted by: the address, or for IPv6 the customer's /64."""

    network: str
    shown: str

    @property
    def is_known(self) -> bool:
        return self.network != _UNKNOWN

    @classmethod
    def at(cls, text: str) -> "Origin":
        """`shown` is coarse enough to be logged."""
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


def _listed(proxies: str) -> str:
    networks(proxies)
    return proxies


TrustedProxies = Annotated[str, AfterValidator(_listed)]
"""A setting: proxies before the gateway that may say who a client is, addresses and CIDR blocks,
comma-separated. A service that has it provides the `Proxies` of it."""


@dataclass(frozen=True)
class Proxies:
    """The networks of proxies that may say who a client is."""

    networks: tuple[Network, ...] = ()

    @classmethod
    def of(cls, text: str) -> "Proxies":
        """As the setting names them. Raises ValueError."""
        return cls(networks(text))


def client_of(forwarded: Sequence[str], trusted: Sequence[Network]) -> str:
    """Each proxy appends whom it saw: the last entry is the gateway's. Where it names a trusted proxy, the
    entry before is that proxy's, and so on; what stands further left, a client may have written itself."""
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
    """The client, as the gateway and the trusted proxies before it tell; without a gateway, the socket's."""
    forwarded = ",".join(request.headers.getlist("x-forwarded-for"))
    client: Any = request.client
    entries = forwarded.split(",") if forwarded else [client.host if client else ""]
    return Origin.at(client_of(entries, trusted.networks))


def _address(text: str) -> Address | None:
    """Some proxies write the port as well; a socket that listens on both shows IPv4 as IPv6."""
    with_port = _WITH_PORT.fullmatch(text)
    try:
        ip = ipaddress.ip_address(with_port[1] or with_port[2] if with_port else text)
    except ValueError:
        return None
    return getattr(ip, "ipv4_mapped", None) or ip


FromWhere = Annotated[Origin, Depends(origin)]
