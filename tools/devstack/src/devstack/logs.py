"""The programs' logs: the last lines, or new lines as they come."""

import time
from collections.abc import Iterator, Mapping
from io import BufferedReader
from pathlib import Path

_POLL_SECONDS = 0.25
_BYTES_A_LINE = 400  # a guess to read back by; a line that is longer only makes the tail shorter


def tail(log: Path, lines: int) -> list[str]:
    """The last lines, none if there is no such file."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - lines * _BYTES_A_LINE))
            return file.read().decode(errors="replace").splitlines()[-lines:] if lines else []
    except FileNotFoundError:
        return []


def follow(logs: Mapping[str, Path]) -> Iterator[tuple[str, str]]:
    """Endless pairs of name and new line; a file that was rotated or appears later is picked up."""
    files = {name: _Followed(log) for name, log in logs.items()}
    while True:
        quiet = True
        for name, file in files.items():
            for line in file.new_lines():
                quiet = False
                yield name, line
        if quiet:
            time.sleep(_POLL_SECONDS)


class _Followed:
    def __init__(self, log: Path) -> None:
        self._log = log
        self._file: BufferedReader | None = None
        self._inode = 0
        self._rest = b""
        self._open(at_end=True)

    def new_lines(self) -> Iterator[str]:
        if self._file is None:
            self._open(at_end=False)
        yield from self._read()
        if self._was_rotated():
            self._open(at_end=False)
            yield from self._read()

    def _open(self, *, at_end: bool) -> None:
        try:
            self._file = self._log.open("rb")
        except FileNotFoundError:
            self._file = None
            return
        self._inode = self._log.stat().st_ino
        if at_end:
            self._file.seek(0, 2)

    def _read(self) -> Iterator[str]:
        if self._file is not None:
            *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
            yield from (line.decode(errors="replace") for line in lines)

    def _was_rotated(self) -> bool:
        try:
            return self._file is not None and self._log.stat().st_ino != self._inode
        except FileNotFoundError:
            return False
