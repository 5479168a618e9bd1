"""Processes that a crash left running: they have the stack's mark, but no supervisord manages them."""

from collections.abc import Iterator
from contextlib import suppress
from signal import SIGINT, SIGKILL, SIGQUIT, SIGTERM, Signals

import psutil

from devstack import postgres
from devstack.ended import still_running
from devstack.stack import Stack
from devstack.supervisor import MARK

_EPMD = "epmd"  # Erlang's name service is the machine's, whoever happened to start it
_GRACE_SECONDS = 20


def _left(stack: Stack) -> list[psutil.Process]:
    """Every process of the stack; orphans only where no supervisord is alive."""
    found = {process.pid: process for process in _marked(stack)}
    database = postgres.server_pid(stack.layout.pgdata)
    if database:
        # PostgreSQL writes its title over its environment, so the mark is gone.
        with suppress(psutil.NoSuchProcess):
            found[database] = psutil.Process(database)
    return list(found.values())


def stop(stack: Stack) -> list[str]:
    """Terminate them, wait, then kill them. Returns their names."""
    processes = _left(stack)
    names = [_name(process) for process in processes]
    _signal(processes, SIGTERM, to_postgres=SIGINT)
    alive = still_running(processes, _GRACE_SECONDS)
    _signal(alive, SIGKILL, to_postgres=SIGQUIT)
    still_running(alive, _GRACE_SECONDS)
    return names


def kill(stack: Stack) -> None:
    """Kill the whole stack, its supervisord too: for a stack whose data is not needed any more."""
    processes = _left(stack)
    _signal(processes, SIGKILL, to_postgres=SIGQUIT)
    still_running(processes, _GRACE_SECONDS)


def _signal(processes: list[psutil.Process], signal: Signals, to_postgres: Signals) -> None:
    """Killed outright, PostgreSQL would leave its shared memory behind."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(to_postgres if process.name() == "postgres" else signal)


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
