"""Secrets in files, and passwords that may change while the process runs.

A database or a broker knows one password for a user. So that every new connection is accepted while it
changes, the file has two lines meanwhile: it gets the new password before the old one, then the server gets
the new one, then the file has that alone.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import PlainValidator

T = TypeVar("T")

_LARGEST_FILE = 1024 * 1024
_MOST_PASSWORDS = 2
# Both, and both again: the server may get the new password between the first two attempts.
_ATTEMPTS = 4


class UnusableFile(ConnectionError):
    """A file does not hold a secret. Where it holds a password, no connection can be made for now."""


class PasswordFile:
    """The file of a password, or of two while it is rotated; it is read for every new connection.

    Its size is limited to 1 MiB, and it is UTF-8. A newline at its end is not part of the password.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._refused: str | None = None

    def read(self) -> tuple[str, ...]:
        """The password, and the other one if there are two. Raises `UnusableFile`, which names the file."""
        try:
            return passwords(read_secret(self.path))
        except ValueError as error:
            raise UnusableFile(f"{self.path} {error}") from None

    def choose(self) -> str:
        """The password for the next attempt: the first in the file, or the other one if there are two and the
        first was the last to be refused. Raises `UnusableFile`."""
        found = self.read()
        return next((password for password in found if password != self._refused), found[0])

    def note_refused(self, password: str) -> None:
        """The server has refused it. What is chosen next is therefore the other one, if there are two."""
        self._refused = password

    async def connect(
        self, attempt: Callable[[str], Awaitable[T]], refused: type[Exception] | tuple[type[Exception], ...]
    ) -> T:
        """What `attempt` returns for a password that the server accepts.

        `refused`: the errors by which it refuses one.

        Raises the last of them if it accepts none, any other error of `attempt` at once, and `UnusableFile`.
        """
        for left in reversed(range(_ATTEMPTS)):
            password = self.choose()
            try:
                return await attempt(password)
            except refused:
                self.note_refused(password)
                if not left or self.choose() == password:
                    raise
        raise AssertionError("the last attempt returns or raises")


def passwords(text: str) -> tuple[str, ...]:
    """The lines of a password's file. Raises `ValueError`, which does not quote them."""
    first, *others = text.split("\n")
    if not first:
        raise ValueError("has an empty first line instead of a password")
    if len(others) >= _MOST_PASSWORDS:
        raise ValueError(f"has {1 + len(others)} lines: a password, and another while it is rotated, are two")
    return (first, *filter(None, others))


def read_secret(path: Path) -> str:
    """The file's text without the newline at its end. Raises `UnusableFile`, which does not quote it."""
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
        text = content.decode().removesuffix("\n")
    except OSError as error:
        raise UnusableFile(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UnusableFile(f"{path} holds no text") from None
    if not text or len(content) > _LARGEST_FILE:
        raise UnusableFile(f"{path} is {'too large' if text else 'empty'}")
    return text


def _password_file(path: str) -> PasswordFile:
    file = PasswordFile(Path(path))
    try:
        file.read()
    except UnusableFile as error:
        raise ValueError(str(error)) from None
    return file


RotatedPassword = Annotated[PasswordFile, PlainValidator(_password_file)]
"""A setting that names the file of a password, which may change while the process runs."""
