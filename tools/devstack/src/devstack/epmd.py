"""Erlang's name service: one for the machine, started by the first node that needs it."""

import subprocess
from contextlib import suppress

import psutil

from devstack.supervisor import MARK

_SECONDS = 10


def stop_if_ours() -> None:
    """Stop the one that a stack of this project started, unless a node is registered with it."""
    if any(_is_ours(process) for process in psutil.process_iter(["name"]) if process.info["name"] == "epmd"):
        # Refuses by itself while a node lives: no race between asking and killing.
        subprocess.run(["epmd", "-kill"], capture_output=True, timeout=_SECONDS, check=False)


def _is_ours(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        return MARK in process.environ()
    return False
