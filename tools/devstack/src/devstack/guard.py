"""A lock, so that one command at a time changes a stack."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager

from devstack.layout import Layout
from shop.errors import ShopError

_TIMEOUT_SECONDS = 120.0


@contextmanager
def exclusive(layout: Layout, timeout: float = _TIMEOUT_SECONDS) -> Iterator[None]:
    """Waits up to `timeout` seconds for the lock; the kernel releases it when its holder dies."""
    layout.folder.mkdir(parents=True, exist_ok=True)
    with layout.lock.open("a") as lock:
        deadline = time.monotonic() + timeout
        while not _acquired(lock.fileno()):
            if time.monotonic() > deadline:
                raise ShopError(f"another command is changing {layout.folder}: try again when it has ended")
            time.sleep(0.05)
        yield


def _acquired(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
