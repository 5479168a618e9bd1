"""An append-only file of JSON lines: the sandbox's only storage, written before anything is answered.

One request is one line and one write, so a killed process leaves whole lines; a power cut may lose the last.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson


class Unreadable(Exception):
    """The journal holds something that this sandbox did not write."""


class Journal:
    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)

    def read(self) -> Iterator[dict[str, Any]]:
        """All lines; a torn last one, whose request was never answered, is cut off."""
        whole = 0
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if not line.endswith(b"\n"):
                    os.truncate(self.path, whole)
                    return
                whole += len(line)
                yield self._parse(number, line)

    def _parse(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            entry = orjson.loads(line)
        except orjson.JSONDecodeError as problem:
            raise Unreadable(f"{self.path}:{number} is no JSON line ({problem})") from problem
        if not isinstance(entry, dict):
            raise Unreadable(f"{self.path}:{number} is no journal entry")
        return entry

    def append(self, entry: object) -> None:
        line = orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE)
        if os.write(self._file, line) != len(line):
            raise OSError(f"{self.path} took only a part of a line: is the disk full?")

    def close(self) -> None:
        os.close(self._file)
