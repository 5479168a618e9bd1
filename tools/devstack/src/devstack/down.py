"""Stop the stack from the outside in: gateway, services, stand-ins, then broker and database."""

import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from signal import SIGINT, SIGKILL, SIGQUIT, SIGTERM, Signals

import psutil

from devstack import postgres
from devstack.layout import exclusive
from devstack.program import Program
from devstack.stack import Stack
from devstack.supervisor import MARK, Supervisor
from shop.errors import ShopError

_POLL_SECONDS = 0.05
_GRACE_SECONDS = 20
_EPMD = "epmd"  # Erlang's name service belongs to the machine, not to the stack that started it
_EPMD_SECONDS = 10


def down(stack: Stack, known: Sequence[Program], progress: Callable[[str], None]) -> list[str]:
    """Returns the names of the stopped programs. Works on a partly broken stack, too."""
    with exclusive(stack.layout):
        supervisor = Supervisor(stack)
        stopped = []
        if supervisor.is_alive():
            stopped = _stop_in_waves(supervisor, known, progress)
            supervisor.shut_down()
        stopped += stop_orphans(stack)
        _clear_machine(stack)
        return stopped


def purge(stack: Stack) -> None:
    """Kill what still runs, supervisord too, and delete the stack's data, secrets and logs."""
    with exclusive(stack.layout):
        processes = _processes(stack)
        _signal(processes, SIGKILL, to_postgres=SIGQUIT)
        psutil.wait_procs(processes, _GRACE_SECONDS)
        _clear_machine(stack)
        shutil.rmtree(stack.folder)


def stop_orphans(stack: Stack) -> list[str]:
    """Terminate what a killed supervisord left running, wait, then kill it. Returns the processes' names."""
    processes = _processes(stack)
    _signal(processes, SIGTERM, to_postgres=SIGINT)
    _, alive = psutil.wait_procs(processes, _GRACE_SECONDS)
    _signal(alive, SIGKILL, to_postgres=SIGQUIT)
    psutil.wait_procs(alive, _GRACE_SECONDS)
    return [process.info["name"] for process in processes]


def _stop_in_waves(
    supervisor: Supervisor, known: Sequence[Program], progress: Callable[[str], None]
) -> list[str]:
    running = supervisor.running()
    for wave in sorted({program.wave for program in known}, reverse=True):
        stopping = [program for program in known if program.wave == wave and program.name in running]
        for program in stopping:
            progress(program.name)
            supervisor.stop(program.name)
        # supervisord kills what does not stop in time: the margin is for that.
        deadline = time.monotonic() + max((program.stop_seconds for program in stopping), default=0) + 10
        while left := sorted({program.name for program in stopping} & supervisor.running()):
            if time.monotonic() > deadline:
                raise ShopError(
                    f"{', '.join(left)} cannot be stopped: end it by hand, then `shop down` again"
                )
            time.sleep(_POLL_SECONDS)
    return [program.name for program in known if program.name in running]


def _processes(stack: Stack) -> list[psutil.Process]:
    """Every process of the stack; where no supervisord is alive, these are orphans."""
    # PostgreSQL writes its title over its environment, so the mark is gone.
    database = postgres.server_pid(stack.layout.pgdata)
    return [
        process
        for process in psutil.process_iter(["name", "environ"])
        if process.pid == database or (_mark(process) == str(stack.folder) and process.info["name"] != _EPMD)
    ]


def _mark(process: psutil.Process) -> str | None:
    """The folder of its stack; None too where we may not read its environment."""
    return (process.info["environ"] or {}).get(MARK)


def _signal(processes: Sequence[psutil.Process], signal: Signals, to_postgres: Signals) -> None:
    """Killed outright, PostgreSQL would leave its shared memory behind."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(to_postgres if process.info["name"] == "postgres" else signal)


def _clear_machine(stack: Stack) -> None:
    """Of what a stack has outside its folder: sockets, and Erlang's name service unless a node needs it."""
    if any(one.info["name"] == _EPMD and _mark(one) for one in psutil.process_iter(["name", "environ"])):
        # Refuses by itself while a node lives: no race between asking and killing.
        subprocess.run(["epmd", "-kill"], capture_output=True, timeout=_EPMD_SECONDS, check=False)
    if not stack.sockets.is_relative_to(stack.folder):
        shutil.rmtree(stack.sockets, ignore_errors=True)
