"""Where a request comes from, as far as the proxies in front can be believed."""

import ipaddress
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request

from chassis.service import part

_IPV6_CUSTOMER = 64
_IPV4_SHOWN = 24


@dataclass(frozen=True)
class Origin:
    """`network` is what attempts are counted by: the address, or for IPv6 the customer's /64."""

    network: str
    shown: str

    @classmethod
    def at(cls, text: str) -> "Origin":
        """`shown` is coarse enough to be logged."""
        try:
            ip = ipaddress.ip_address(text)
        except ValueError:
            return cls("unknown", "unknown")
        ip = getattr(ip, "ipv4_mapped", None) or ip  # as a socket that listens on both shows it
        if isinstance(ip, ipaddress.IPv6Address):
            customer = str(ipaddress.ip_network((ip, _IPV6_CUSTOMER), strict=False))
            return cls(customer, customer)
        return cls(str(ip), str(ipaddress.ip_network((ip, _IPV4_SHOWN), strict=False)))


async def origin(request: Request, hops: Annotated[int, Depends(part("forwarded_hops"))]) -> Origin:
    """Each proxy appends whom it saw, so only the last `hops` entries of X-Forwarded-For are true."""
    forwarded = [entry.strip() for entry in request.headers.get("x-forwarded-for", "").split(",")]
    if hops and len(forwarded) >= hops and forwarded[-hops]:
        return Origin.at(forwarded[-hops])
    client: Any = request.client
    return Origin.at(client.host if client else "")


FromWhere = Annotated[Origin, Depends(origin)]
