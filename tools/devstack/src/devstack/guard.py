"""One command at a time changes a stack."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager

from devstack.layout import Layout
from shop.errors import ShopError

_PATIENCE_SECONDS = 120.0


@contextmanager
def alone(layout: Layout, patience: float = _PATIENCE_SECONDS) -> Iterator[None]:
    """Waits for whoever is at work, up to `patience` seconds; the kernel lets go when a holder dies."""
    layout.folder.mkdir(parents=True, exist_ok=True)
    with layout.lock.open("a") as lock:
        deadline = time.monotonic() + patience
        while not _taken(lock.fileno()):
            if time.monotonic() > deadline:
                raise ShopError(
                    f"another command is still at work on {layout.folder}: try again when it has ended"
                )
            time.sleep(0.05)
        yield


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
