"""This machine: the clone that a command works in, programs that it runs, files that it writes."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

from shop.errors import ShopError


def project_root() -> Path:
    """The workspace's folder: the nearest one above the working directory, else where this code lives."""
    for start in (Path.cwd(), Path(__file__).resolve()):
        for folder in (start, *start.parents):
            if (folder / "uv.lock").exists() and (folder / "shop").is_dir():
                return folder
    raise ShopError("this is not a clone of the project: run the command inside it")


async def run(
    command: Sequence[str], shown: str, seconds: float, env: Mapping[str, str] | None = None
) -> tuple[int, bytes]:
    """The exit code and the output. Raises ShopError, which calls it `shown`, if the program does not exist,
    or had to be killed because it did not end within `seconds`."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            env=env,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    except OSError as error:
        raise ShopError(f"{shown}: {error.strerror}") from error
    try:
        output, _ = await asyncio.wait_for(process.communicate(), seconds)
    except TimeoutError:
        raise ShopError(f"{shown} did not end within {seconds} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, output


def last_line(output: bytes) -> str:
    return "".join(output.decode(errors="replace").strip().splitlines()[-1:])


def write(file: Path, text: str, mode: int = 0o600, *, once: bool = False) -> None:
    """Write the file so that nobody reads half of it, even after the machine's failure.

    It replaces one that is there; with `once`, one that is there stays.
    """
    draft = file.with_name(f".{file.name}.{os.getpid()}.{token_hex(4)}")
    draft.touch(mode=0o600)
    try:
        with draft.open("w") as whole:
            whole.write(text)
            whole.flush()
            os.fsync(whole.fileno())
        draft.chmod(mode)
        if once:
            with suppress(FileExistsError):
                os.link(draft, file)
        else:
            os.replace(draft, file)
    finally:
        draft.unlink(missing_ok=True)
