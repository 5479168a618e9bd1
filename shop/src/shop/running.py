"""Running another program to its end, with a time limit; none is left behind."""

import asyncio
from collections.abc import Mapping, Sequence

from shop.errors import ShopError


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
