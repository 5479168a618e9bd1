"""Other programs, run to their end: none is left behind, and none is waited for without end."""

import asyncio
from collections.abc import Mapping, Sequence

from shop.errors import ShopError


async def run(
    command: Sequence[str], shown: str, seconds: float, env: Mapping[str, str] | None = None
) -> tuple[int, bytes]:
    """The exit code, and what it printed. Raises ShopError, which calls it `shown`, when there is no such
    program, or when it does not end in time and had to be killed."""
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
