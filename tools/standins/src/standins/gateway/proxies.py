"""Whom a request comes from behind proxies that are trusted: as nginx's realip module finds it, recursively.

Kong is told the same by `trusted_ips`, `real_ip_header=X-Forwarded-For` and `real_ip_recursive=on`.
"""

import ipaddress
import re
from collections.abc import Iterable

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Trusted = tuple[Network, ...]

_WITH_PORT = re.compile(r"(?:\[([^]]+)\]|([0-9.]+)):[0-9]+")


def trusted_proxies(text: str) -> Trusted:
    """Addresses and CIDR blocks, comma-separated. Raises ValueError."""
    return tuple(ipaddress.ip_network(one.strip()) for one in text.split(",") if one.strip())


def is_trusted(address: str, trusted: Trusted) -> bool:
    """Whether it is one of the proxies."""
    return bool(trusted) and any(ipaddress.ip_address(address) in network for network in trusted)


def client_of(peer: str, forwarded: Iterable[str], trusted: Trusted) -> str:
    """The last address that no trusted proxy has; `forwarded` are the values of X-Forwarded-For.

    What a client has put there itself stands to the left of its own address, and is not reached.
    """
    client = peer
    for entry in reversed(",".join(forwarded).split(",")):
        if not is_trusted(client, trusted):
            break
        before = _address(entry.strip())
        if before is None:
            break
        client = before
    return client


def _address(text: str) -> str | None:
    """nginx takes an address with a port as well."""
    with_port = _WITH_PORT.fullmatch(text)
    try:
        return str(ipaddress.ip_address(with_port[1] or with_port[2] if with_port else text))
    except ValueError:
        return None
