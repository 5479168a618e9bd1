"""Stop the stack from the outside in: gateway, services, stand-ins, then broker and database."""

import shutil
import time
from collections.abc import Callable, Sequence

from devstack import epmd, leftovers
from devstack.guard import exclusive
from devstack.program import Program
from devstack.stack import Stack
from devstack.supervisor import Supervisor
from shop.errors import ShopError

_STOPPED = {"STOPPED", "EXITED", "FATAL"}
_POLL_SECONDS = 0.05


def down(stack: Stack, known: Sequence[Program], progress: Callable[[str], None]) -> list[str]:
    """Returns the names of the stopped programs. Works on a partly broken stack, too."""
    with exclusive(stack.layout):
        supervisor = Supervisor(stack)
        stopped = []
        if supervisor.is_alive():
            stopped = _stop_in_waves(supervisor, known, progress)
            supervisor.shut_down()
        stopped += leftovers.stop(stack)
        epmd.stop_if_ours()
        _remove_sockets(stack)
        return stopped


def purge(stack: Stack) -> None:
    """Kill what still runs, and delete the stack's data, secrets and logs."""
    with exclusive(stack.layout):
        leftovers.kill(stack)
        epmd.stop_if_ours()
        _remove_sockets(stack)
        shutil.rmtree(stack.folder)


def _stop_in_waves(
    supervisor: Supervisor, known: Sequence[Program], progress: Callable[[str], None]
) -> list[str]:
    running = supervisor.running()
    for wave in sorted({program.wave for program in known}, reverse=True):
        stopping = [program for program in known if program.wave == wave and program.name in running]
        for program in stopping:
            progress(program.name)
            supervisor.stop(program.name)
        _await_stop(supervisor, stopping)
    return [program.name for program in known if program.name in running]


def _await_stop(supervisor: Supervisor, stopping: Sequence[Program]) -> None:
    # supervisord kills what does not stop in time: the margin is for that.
    deadline = time.monotonic() + max((program.stop_seconds for program in stopping), default=0) + 10
    while left := [p.name for p in stopping if supervisor.info()[p.name]["statename"] not in _STOPPED]:
        if time.monotonic() > deadline:
            raise ShopError(f"{', '.join(left)} cannot be stopped: end it by hand, then `shop down` again")
        time.sleep(_POLL_SECONDS)


def _remove_sockets(stack: Stack) -> None:
    inside = stack.sockets.is_relative_to(stack.folder)
    if not inside:
        shutil.rmtree(stack.sockets, ignore_errors=True)
