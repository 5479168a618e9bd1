"""Progress of a start: a live table on a terminal, otherwise a line for each program that is ready."""

from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table

from devstack.program import Program


class Progress:
    """`with Progress(programs, quiet=False) as progress: up(…, progress.note)`."""

    def __init__(self, programs: Sequence[Program], *, quiet: bool) -> None:
        self._rows = {program.name: ("waiting", 0.0) for program in programs}
        self._quiet = quiet
        console = Console(stderr=True)
        self._live = (
            Live(console=console, refresh_per_second=8) if console.is_terminal and not quiet else None
        )

    def __enter__(self) -> "Progress":
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def note(self, program: str, state: str, seconds: float) -> None:
        self._rows[program] = (state, seconds)
        if self._live:
            self._live.update(self._table())
        elif not self._quiet and state in ("ready", "already running"):
            Console(stderr=True).print(f"{program} {state} ({seconds:.1f} s)", highlight=False)

    def _table(self) -> Table:
        table = Table(box=None, show_header=False, pad_edge=False)
        for name, (state, seconds) in self._rows.items():
            table.add_row(name, state, f"{seconds:.1f} s" if seconds else "")
        return table
