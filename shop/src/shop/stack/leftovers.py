"""What a crash left running: processes that carry the stack's mark but that no supervisord keeps any more."""

from collections.abc import Iterator
from contextlib import suppress
from signal import SIGINT, SIGTERM

import psutil

from shop.stack import postgres
from shop.stack.stack import Stack
from shop.stack.supervisor import MARK

_EPMD = "epmd"  # Erlang's name service is the machine's, whoever happened to start it
_GRACE_SECONDS = 20


def orphans(stack: Stack) -> list[psutil.Process]:
    """Only ask when no supervisord is alive: what it keeps carries the same mark."""
    found = {process.pid: process for process in _marked(stack)}
    database = postgres.server_pid(stack.layout.pgdata)
    if database:
        # PostgreSQL writes its title over its environment, so the mark is gone.
        with suppress(psutil.NoSuchProcess):
            found[database] = psutil.Process(database)
    return list(found.values())


def stop(stack: Stack) -> list[str]:
    """Ask them to end, wait, then make them. Returns the names of those that were there."""
    processes = orphans(stack)
    names = [_name(process) for process in processes]
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(SIGINT if process.name() == "postgres" else SIGTERM)
    _, alive = psutil.wait_procs(processes, timeout=_GRACE_SECONDS)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=_GRACE_SECONDS)
    return names


def _marked(stack: Stack) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            if process.environ().get(MARK) == str(stack.folder) and process.name() != _EPMD:
                yield process


def _name(process: psutil.Process) -> str:
    try:
        return str(process.name())
    except psutil.NoSuchProcess:
        return "a process that has just ended"
