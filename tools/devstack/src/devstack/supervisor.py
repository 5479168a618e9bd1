"""supervisord keeps the processes: its configuration, and its XML-RPC interface on a Unix socket."""

import asyncio
import os
import socket
import sys
from collections.abc import Collection, Iterable
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, cast
from xmlrpc.client import Fault, ProtocolError, ServerProxy, Transport

import psutil
from supervisor.xmlrpc import Faults

from devstack.program import Program
from devstack.stack import Stack
from shop.errors import ShopError
from shop.machine import last_line, project_root, run, write

MARK = "SAGA_SHOP_STACK"  # every process of a stack carries its folder, so that orphans can be found
_START_SECONDS = _STOP_SECONDS = 60
_ANSWER_SECONDS = 90  # longer than any program takes to stop
_RUNNING = {"STARTING", "RUNNING", "BACKOFF", "STOPPING"}
_INHERITED = {"PATH", "HOME", "USER", "LANG", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "PYTHONPATH"}

Info = dict[str, Any]


class Supervisor:
    """Synchronous: but for `shut_down`, nothing here waits for a program."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.socket = stack.sockets / "supervisor.sock"

    def is_alive(self) -> bool:
        try:
            return bool(self._call("getState")["statecode"] >= 0)
        except (OSError, HTTPException, ProtocolError, Fault):
            return False

    def pid(self) -> int:
        return int(self._call("getPID"))

    def info(self) -> dict[str, Info]:
        """Per program: `statename`, `pid`, `start` and `now` in seconds, `spawnerr`, `exitstatus`."""
        return {info["name"]: info for info in self._call("getAllProcessInfo")}

    def running(self) -> set[str]:
        return {name for name, info in self.info().items() if info["statename"] in _RUNNING}

    def start(self, name: str) -> None:
        self._call("startProcess", name, False, unless=(Faults.ALREADY_STARTED,))

    def stop(self, name: str) -> None:
        """Asks only; see `info` for when it has stopped."""
        self._call("stopProcess", name, False, unless=(Faults.NOT_RUNNING, Faults.BAD_NAME))

    def signal(self, name: str, signal: str) -> None:
        """`KILL`, `STOP`, `CONT`, …; a program that it kills is restarted."""
        self._call("signalProcess", name, signal, unless=(Faults.NOT_RUNNING,))

    def shut_down(self) -> None:
        process = psutil.Process(self.pid())
        self._call("shutdown")
        try:
            process.wait(_STOP_SECONDS)
        except psutil.TimeoutExpired:
            log = self._stack.layout.log("supervisord")
            raise ShopError(f"supervisord (pid {process.pid}) does not stop: see {log}") from None

    def configure(self, programs: Iterable[Program]) -> None:
        """Write what is to be kept; a running supervisord takes over what changed, and stops it to do so."""
        write(self._stack.layout.supervisor, _configuration(self._stack, self.socket, programs))
        if not self.is_alive():
            self._launch()
            return
        added, changed, removed = self._call("reloadConfig")[0]
        for name in (*changed, *removed):
            self._call("stopProcess", name, True, unless=(Faults.NOT_RUNNING,))
            self._call("removeProcessGroup", name)
        for name in (*changed, *added):
            self._call("addProcessGroup", name)

    def _call(self, method: str, *arguments: Any, unless: Collection[int] = ()) -> Any:
        """`unless` are the faults that mean that there is nothing left to do."""
        with ServerProxy("http://localhost", transport=_Transport(self.socket)) as server:
            try:
                return getattr(cast("Any", server).supervisor, method)(*arguments)
            except Fault as fault:
                if fault.faultCode not in unless:
                    raise

    def _launch(self) -> None:
        self.socket.unlink(missing_ok=True)
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self._stack.layout.supervisor)]
        # It listens on its socket before it goes into the background.
        code, output = asyncio.run(run(command, "supervisord", _START_SECONDS, _environment(self._stack)))
        if code or not self.is_alive():
            raise ShopError(f"supervisord did not start: {last_line(output) or 'no answer'}")


class _Transport(Transport):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, _: object) -> HTTPConnection:
        connection = HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.settimeout(_ANSWER_SECONDS)
        connection.sock.connect(str(self._path))
        return connection


def _environment(stack: Stack) -> dict[str, str]:
    """Nothing of the operator's shell reaches a program by accident, a real provider's key least of all."""
    kept = {name: value for name, value in os.environ.items() if name in _INHERITED or name.startswith("LC_")}
    cache = os.environ.get("PYTHONPYCACHEPREFIX") or str(project_root() / ".local" / "cache" / "pycache")
    return kept | {MARK: str(stack.folder), "PYTHONPYCACHEPREFIX": cache}


def _configuration(stack: Stack, socket: Path, programs: Iterable[Program]) -> str:
    user = "user=root\n" if os.geteuid() == 0 else ""
    log = stack.layout.log("supervisord")
    sections = [
        f"[unix_http_server]\nfile={_literal(socket)}\nchmod=0700\n",
        f"[supervisord]\nlogfile={_literal(log)}\nlogfile_maxbytes=5MB\nlogfile_backups=1\nloglevel=info\n"
        f"pidfile={_literal(socket.with_name('supervisord.pid'))}\nchildlogdir={_literal(log.parent)}\n"
        f"umask=077\n{user}",
        "[rpcinterface:supervisor]\n"
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n",
        *(_section(stack, program) for program in programs),
    ]
    return "\n".join(sections)


def _section(stack: Stack, program: Program) -> str:
    environment = program.environment(stack)
    pairs = ",".join(f'{name}="{_literal(value)}"' for name, value in sorted(environment.items()))
    command = " ".join(f'"{_literal(word)}"' for word in program.command(stack))
    return f"""\
[program:{program.name}]
command={command}
environment={pairs}
directory={_literal(stack.folder)}
autostart=false
autorestart=true
startsecs=5
startretries=100
priority={program.wave * 100}
stopsignal={program.stop_signal}
stopwaitsecs={program.stop_seconds}
killasgroup=true
redirect_stderr=true
stdout_logfile={_literal(stack.layout.log(program.name))}
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=1
"""


def _literal(value: object) -> str:
    """As the configuration takes it: `%` starts an expansion, ` ;` a comment, a quote cannot be escaped."""
    text = str(value)
    if any(unsafe in text for unsafe in ('"', "\n", " ;", " #")):
        raise ValueError(f"supervisor's configuration has no way to write {text!r}")
    return text.replace("%", "%%")
