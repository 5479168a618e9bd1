"""Starts the stand-in gateway as its own process, or loads a real Kong with the same configuration."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

START_SECONDS = 20


@contextmanager
def standin(kong_yml: str, folder: Path, upstreams: dict[str, str], **environment: str) -> Iterator[str]:
    """The base URL of a stand-in that serves `kong_yml` and finds its upstreams at the given addresses."""
    file = folder / "kong.yml"
    file.write_text(kong_yml)
    port = free_port()
    named = ",".join(f"{name}={address}" for name, address in upstreams.items())
    process = subprocess.Popen(
        [sys.executable, "-m", "standins.gateway"],
        env=os.environ | {"PORT": str(port), "KONG_FILE": str(file), "UPSTREAMS": named} | environment,
    )
    try:
        _wait_for(process, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def load_kong(admin: str, kong_yml: str) -> None:
    """Replaces the whole configuration of a Kong in DB-less mode, through its admin API."""
    body = kong_yml.encode()
    with urlopen(Request(f"{admin}/config", body, {"Content-Type": "text/yaml"}), timeout=30) as answer:
        assert answer.status == 201


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _wait_for(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, "the gateway did not start"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the gateway did not listen in time")
