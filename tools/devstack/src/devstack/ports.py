"""Ports of one stack: a block, by default from 18000, and which process uses one that is taken."""

import errno
import random
import socket
from collections.abc import Sequence
from contextlib import suppress

import psutil

BASE = 18000
SIZE = 17
# From the base on, in this order: what people have written down keeps its number.
USUAL = (
    *("gateway", "auth", "product", "cart", "order", "payment", "notification", "sandbox", "mailbox", "smtp"),
    *("storefront", "amqp", "distribution", "management", "monitor", "gateway-tls", "warehouse"),
)
# Below the ephemeral range (32768 up), where an outgoing connection could sit on the port by chance.
_FREE_BASES = range(20000, 32000, SIZE)


def block(base: int, more: Sequence[str] = ()) -> dict[str, int]:
    """The usual ones and, after them, one for each of `more`."""
    usual = {name: base + number for number, name in enumerate(USUAL)}
    return usual | {name: base + SIZE + number for number, name in enumerate(more)}


def is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


def free_base(more: Sequence[str] = ()) -> int:
    """A base whose whole block is free now; random, so that two commands at once rarely choose the same."""
    for base in random.sample(_FREE_BASES, len(_FREE_BASES)):
        if all(is_free(port) for port in block(base, more).values()):
            return base
    raise RuntimeError("no free block of ports between 20000 and 32000")


def holder(port: int) -> str:
    """The process that listens there, if this user can see it: `nginx (pid 42)`, else `another program`."""
    with suppress(psutil.AccessDenied, psutil.NoSuchProcess):
        for one in psutil.net_connections(kind="tcp"):
            if one.status == psutil.CONN_LISTEN and one.laddr and one.laddr.port == port and one.pid:
                return f"{psutil.Process(one.pid).name()} (pid {one.pid})"
    return "another program"
