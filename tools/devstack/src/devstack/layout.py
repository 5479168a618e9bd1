"""The stack's files: one folder, found from the project's root wherever the command is run."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from shop.project import project_root

LONGEST_SOCKET_PATH = 100  # the kernel takes 107 bytes; supervisor appends its pid while it creates its own
_LONGEST_NAME = "postgres/.s.PGSQL.5432.lock"


def default_folder() -> Path:
    """`SHOP_STACK` if set, else `.local/stack` in the project."""
    chosen = os.environ.get("SHOP_STACK")
    return Path(chosen).resolve() if chosen else project_root() / ".local" / "stack"


@dataclass(frozen=True)
class Layout:
    folder: Path

    @property
    def state(self) -> Path:
        return self.folder / "state.json"

    @property
    def lock(self) -> Path:
        return self.folder / "lock"

    @property
    def secrets(self) -> Path:
        return self.folder / "secrets"

    @property
    def supervisor(self) -> Path:
        return self.folder / "supervisord.conf"

    @property
    def pgdata(self) -> Path:
        return self.folder / "postgres"

    @property
    def rabbitmq(self) -> Path:
        return self.node("rabbitmq")

    def node(self, name: str) -> Path:
        """The home of one of RabbitMQ's nodes."""
        return self.folder / name

    @property
    def kong(self) -> Path:
        return self.folder / "kong.yml"

    def log(self, program: str) -> Path:
        return self.folder / "log" / f"{program}.log"


def socket_folder(folder: Path) -> Path:
    """`run` inside the folder, or a private one under /tmp where the path would be too long for a socket."""
    inside = folder / "run"
    if len(os.fsencode(inside / _LONGEST_NAME)) <= LONGEST_SOCKET_PATH:
        return inside
    return Path(tempfile.mkdtemp(prefix="saga-shop-", dir="/tmp"))
