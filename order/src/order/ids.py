"""Ids of orders: UUIDs of version 7, so that newer orders come after older ones. Source: RFC 9562, 5.7."""

import os
import time
from datetime import datetime
from uuid import UUID

_VERSION_7 = 0x7 << 76
_VARIANT = 0x2 << 62


def new_order_id() -> UUID:
    """A new id, ordered by time."""
    stamp = time.time_ns() // 1_000_000 << 80
    chance = int.from_bytes(os.urandom(10)) & ~(0xF << 76) & ~(0x3 << 62)
    return UUID(int=stamp | _VERSION_7 | _VARIANT | chance)


def first_order_id(moment: datetime) -> UUID:
    """The smallest id of that moment: later orders have greater ones."""
    return UUID(int=int(moment.timestamp() * 1000) << 80 | _VERSION_7 | _VARIANT)
