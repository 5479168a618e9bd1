"""Starts the stand-in gateway as its own process, or loads a real Kong with the same configuration."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import yaml

from shop.provision import certificates

START_SECONDS = 20
LOAD_SECONDS = 30
AGREED = 20  # answers in a row: Kong's workers read a configuration one after the other


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


def tls_settings(folder: Path, port: int) -> dict[str, str]:
    """The environment of a stand-in that serves TLS, too; whom to trust is in `ca.pem` in the folder."""
    certificates.provide(folder, "gateway", ["localhost", "127.0.0.1"])
    files = {"TLS_CERT": "gateway.pem", "TLS_KEY": "gateway-key.pem"}
    return {"TLS_PORT": str(port)} | {name: str(folder / file) for name, file in files.items()}


def load_kong(admin: str, proxy: str, kong_yml: str, seconds: float = LOAD_SECONDS) -> None:
    """Replaces the whole configuration of a Kong in DB-less mode, through its admin API.

    Returns when the workers have the new routes; Kong answers 201 before. Its local counters live on over a
    load and go by names, so services and routes have other names in each. Raises AssertionError when the
    routes are not there within `seconds`.
    """
    load = token_hex(4)
    body = _apart(kong_yml, load).encode()
    with urlopen(Request(f"{admin}/config", body, {"Content-Type": "text/yaml"}), timeout=30) as answer:
        assert answer.status == 201
    deadline, in_a_row = time.monotonic() + seconds, 0
    while in_a_row < AGREED:
        assert time.monotonic() < deadline, f"the routes were not there within {seconds} s"
        if _status(f"{proxy}/loaded-{load}") == 200:
            in_a_row += 1
        else:
            in_a_row = 0
            time.sleep(0.05)


def _apart(kong_yml: str, load: str) -> str:
    """The file with names of this load's own, and a route that only it has."""
    document = yaml.safe_load(kong_yml)
    for service in document["services"]:
        for named in (service, *service["routes"]):
            named["name"] += f"-{load}"
    answer = {"name": "request-termination", "config": {"status_code": 200}}
    route = {"name": f"loaded-{load}", "paths": [f"/loaded-{load}"], "plugins": [answer]}
    document["services"].append(
        {"name": f"loaded-{load}", "url": "http://nowhere.invalid:80", "routes": [route]}
    )
    return yaml.safe_dump(document, sort_keys=False)


def _status(url: str) -> int:
    """Over a connection of its own, which any worker may take; 0 where nobody listens."""
    try:
        with urlopen(url, timeout=5) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code
    except OSError:
        return 0


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
