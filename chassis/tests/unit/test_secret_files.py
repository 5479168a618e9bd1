"""A password in a file: which contents are taken, and which password a connection is attempted with."""

from collections.abc import Callable
from pathlib import Path

import pytest

from chassis.secret_files import PasswordFile, UnusableFile


class Refused(Exception):
    pass


class Server:
    """Knows one password, and counts the attempts; `then` is called after each refusal."""

    def __init__(self, knows: str, then: Callable[["Server"], object] = lambda _: None) -> None:
        self.knows = knows
        self.attempts: list[str] = []
        self._then = then

    async def log_in(self, password: str) -> str:
        self.attempts.append(password)
        if password != self.knows:
            self._then(self)
            raise Refused
        return f"connected with {password}"


@pytest.fixture
def file(tmp_path: Path) -> PasswordFile:
    return PasswordFile(tmp_path / "password")


@pytest.mark.parametrize(
    ("content", "passwords"),
    [
        ("one", ("one",)),
        ("one\n", ("one",)),
        ("new\nold", ("new", "old")),
        ("new\nold\n", ("new", "old")),
        ("new\n\n", ("new",)),
        (" p@ss/w:rd 100% \n", (" p@ss/w:rd 100% ",)),
    ],
)
def test_a_file_has_one_password_or_two(file: PasswordFile, content: str, passwords: tuple[str, ...]) -> None:
    file.path.write_text(content)
    assert file.read() == passwords


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"\nhunter2", "has an empty first line"),
        (b"hunter2\nhunter2\nhunter2", "has 3 lines"),
        (b"hunter2\n\n\n", "has 3 lines"),
        (b"hunter2\xff", "holds no text"),
        (b"hunter2" * 200_000, "is too large"),
    ],
)
def test_a_file_without_a_password_is_named_and_not_quoted(
    file: PasswordFile, content: bytes, why: str
) -> None:
    file.path.write_bytes(content)
    with pytest.raises(UnusableFile) as unusable:
        file.read()
    assert str(file.path) in str(unusable.value)
    assert why in str(unusable.value)
    assert "hunter2" not in str(unusable.value)


def test_a_missing_file_counts_as_a_connection_that_cannot_be_made(file: PasswordFile) -> None:
    with pytest.raises(ConnectionError, match=rf"^cannot read {file.path}: No such file"):
        file.choose()


async def test_the_other_password_is_tried_when_the_first_is_refused(file: PasswordFile) -> None:
    file.path.write_text("new\nold")
    server = Server("old")
    assert await file.connect(server.log_in, Refused) == "connected with old"
    assert server.attempts == ["new", "old"]


async def test_the_refused_password_is_not_tried_first_again(file: PasswordFile) -> None:
    file.path.write_text("new\nold")
    server = Server("old")
    for _ in range(3):
        await file.connect(server.log_in, Refused)
    assert server.attempts == ["new", "old", "old", "old"]

    server.knows = "new"
    for _ in range(2):
        await file.connect(server.log_in, Refused)
    assert server.attempts[4:] == ["old", "new", "new"]


async def test_one_wrong_password_is_tried_once(file: PasswordFile) -> None:
    file.path.write_text("wrong")
    server = Server("right")
    with pytest.raises(Refused):
        await file.connect(server.log_in, Refused)
    assert server.attempts == ["wrong"]


async def test_two_wrong_passwords_are_tried_twice_each(file: PasswordFile) -> None:
    file.path.write_text("wrong\nalso wrong")
    server = Server("right")
    with pytest.raises(Refused):
        await file.connect(server.log_in, Refused)
    assert server.attempts == ["wrong", "also wrong"] * 2


async def test_a_server_that_changes_between_two_attempts_refuses_no_connection(file: PasswordFile) -> None:
    file.path.write_text("new\nold")
    server = Server("old", then=lambda server: setattr(server, "knows", "new"))
    assert await file.connect(server.log_in, Refused) == "connected with new"
    assert server.attempts == ["new", "old", "new"]


async def test_a_file_that_changes_during_an_attempt_is_read_again(file: PasswordFile) -> None:
    file.path.write_text("old")
    server = Server("new", then=lambda _: file.path.write_text("new\nold"))
    assert await file.connect(server.log_in, Refused) == "connected with new"


async def test_another_error_than_a_refusal_is_raised_at_once(file: PasswordFile) -> None:
    file.path.write_text("new\nold")
    attempts = []

    async def unreachable(password: str) -> None:
        attempts.append(password)
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await file.connect(unreachable, Refused)
    assert attempts == ["new"]
