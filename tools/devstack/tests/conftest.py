"""A stack of small programs, so that starting and stopping are tried with real processes."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from devstack import Stack, ports
from devstack.down import down, purge
from devstack.program import Program, http_answers
from devstack.supervisor import Supervisor
from devstack.up import Started, up

_PROGRAM = """\
import http.server, os, signal, sys
name, record = sys.argv[1:]

def write(word):
    with open(record, "a") as file:
        file.write(f"{word} {name}\\n")

def stop(*_):
    write("stopped")
    os._exit(0)

signal.signal(signal.SIGTERM, stop)

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(os.environ.get("GREETING", "").encode())

server = http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Answer)
write("started")
server.serve_forever()
"""


@dataclass
class SmallStack:
    """A stack, its programs, and the file into which they write when they start and stop."""

    stack: Stack
    folder: Path
    programs: list[Program] = field(default_factory=list)

    def add(self, name: str, *, wave: int = 2, after: tuple[str, ...] = ()) -> Program:
        """A program that answers over HTTP; `name` is one of the stack's ports."""
        script = self._script("serve.py", _PROGRAM)
        program = Program(
            name,
            lambda _: [sys.executable, "-S", str(script), name, str(self._record)],
            lambda stack: {"PORT": str(stack.ports[name]), **stack.settings.get(name, {})},
            ports=(name,),
            wave=wave,
            after=after,
            is_ready=http_answers(name, "/"),
        )
        self.programs.append(program)
        return program

    def add_broken(self, name: str, code: str) -> Program:
        script = self._script(f"{name}.py", code)
        program = Program(
            name,
            lambda _: [sys.executable, "-S", str(script)],
            ports=(name,),
            is_ready=http_answers(name, "/"),
        )
        self.programs.append(program)
        return program

    def up(self, only: Sequence[Program] | None = None, timeout: float = 20) -> list[Started]:
        return up(self.stack, only or self.programs, self.programs, lambda *_: None, timeout)

    def down(self) -> list[str]:
        return down(self.stack, self.programs, lambda _: None)

    @property
    def supervisor(self) -> Supervisor:
        return Supervisor(self.stack)

    def recorded(self) -> list[str]:
        """`started order`, `stopped order`, as it happened."""
        return self._record.read_text().splitlines()

    @property
    def _record(self) -> Path:
        return self.folder / "record"

    def _script(self, name: str, code: str) -> Path:
        script = self.folder / name
        script.write_text(code)
        return script


@pytest.fixture
def make_stack(tmp_path: Path) -> Iterator[Callable[[str], Stack]]:
    """`make_stack("name")`: a stack on free ports, purged afterwards."""
    made: list[Stack] = []

    def make(name: str) -> Stack:
        made.append(Stack.create(tmp_path / name, ports.free_base(), durable=False))
        return made[-1]

    yield make
    for stack in made:
        purge(stack)


@pytest.fixture
def small(make_stack: Callable[[str], Stack], tmp_path: Path) -> SmallStack:
    return SmallStack(make_stack("stack"), tmp_path)
