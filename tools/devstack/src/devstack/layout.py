"""The stack's files: one folder, its lock, and the programs' logs in it."""

import os
import subprocess
import tempfile
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from shop.errors import ShopError
from shop.machine import project_root

_LOCK_SECONDS = 120.0
LONGEST_SOCKET_PATH = 100  # the kernel takes 107 bytes; supervisor appends its pid while it creates its own
_LONGEST_NAME = "postgres/.s.PGSQL.5432.lock"


def default_folder() -> Path:
    """`SHOP_STACK` if set, else `.local/stack` in the project, wherever the command is run."""
    chosen = os.environ.get("SHOP_STACK")
    return Path(chosen).resolve() if chosen else project_root() / ".local" / "stack"


class Layout:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state.json"
        self.lock = folder / "lock"
        self.secrets = folder / "secrets"
        self.supervisor = folder / "supervisord.conf"
        self.pgdata = folder / "postgres"
        self.kong = folder / "kong.yml"

    def node(self, name: str) -> Path:
        """The home of one of RabbitMQ's nodes."""
        return self.folder / name

    def log(self, program: str) -> Path:
        return self.folder / "log" / f"{program}.log"


def socket_folder(folder: Path) -> Path:
    """`run` inside the folder, or a private one under /tmp where the path would be too long for a socket."""
    inside = folder / "run"
    if len(os.fsencode(inside / _LONGEST_NAME)) <= LONGEST_SOCKET_PATH:
        return inside
    return Path(tempfile.mkdtemp(prefix="saga-shop-", dir="/tmp"))


@contextmanager
def exclusive(layout: Layout, timeout: float = _LOCK_SECONDS) -> Iterator[None]:
    """One command at a time changes a stack: waits up to `timeout` seconds for the lock, which the kernel
    releases when its holder dies. Raises ShopError when the time is over."""
    layout.folder.mkdir(parents=True, exist_ok=True)
    try:
        lock = FileLock(layout.lock).acquire(timeout)
    except Timeout:
        raise ShopError(f"another command is changing {layout.folder}: try again when it has ended") from None
    with lock:
        yield


def last_lines(log: Path, count: int) -> list[str]:
    """None of them if there is no such file."""
    try:
        with log.open(errors="replace") as file:
            return [line.rstrip("\n") for line in deque(file, count)]
    except FileNotFoundError:
        return []


def follow(logs: Mapping[str, Path]) -> Iterator[tuple[str, str]]:
    """Endless pairs of name and new line; `tail -F` picks up a file that was rotated or appears later."""
    headers = {f"==> {log} <==": name for name, log in logs.items()}
    name = next(iter(logs))
    command = ["tail", "-v", "-n", "0", "-F", *map(str, logs.values())]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, errors="replace"
    ) as tail:
        assert tail.stdout is not None
        for line in tail.stdout:
            text = line.rstrip("\n")
            name = headers.get(text, name)
            if text and text not in headers:  # an empty line precedes each header
                yield name, text
