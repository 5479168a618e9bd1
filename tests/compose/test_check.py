"""The check of running containers notices each thing that it is there for."""

import copy
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from lab.compose.command import Checks
from lab.compose.project import Project, hardening_faults, service_of
from shop.errors import ShopError
from shop.provision import certificates

HARD: dict[str, Any] = {
    "Config": {"User": "10001:10001", "Labels": {"com.docker.compose.service": "order-api"}},
    "HostConfig": {
        "ReadonlyRootfs": True,
        "CapDrop": ["ALL"],
        "CapAdd": None,
        "SecurityOpt": ["no-new-privileges:true"],
        "Privileged": False,
        "Memory": 268435456,
        "NanoCpus": 1000000000,
        "PidsLimit": 64,
        "PortBindings": {"8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8000"}]},
    },
}
EVERYWHERE = {"8000/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8000"}]}


def container(service: str = "order-api", *, user: str = "10001:10001", **host: Any) -> dict[str, Any]:
    changed = copy.deepcopy(HARD)
    changed["Config"] = {"User": user, "Labels": {"com.docker.compose.service": service}}
    changed["HostConfig"] |= host
    return changed


def test_a_hardened_container_is_accepted() -> None:
    assert hardening_faults([container()]) == []


@pytest.mark.parametrize(
    ("softened", "fault"),
    [
        ({"user": ""}, "runs as root"),
        ({"user": "0:0"}, "runs as root"),
        ({"ReadonlyRootfs": False}, "may write to its root file system"),
        ({"CapDrop": None}, "keeps capabilities"),
        ({"CapAdd": ["NET_ADMIN"]}, "has NET_ADMIN"),
        ({"SecurityOpt": None}, "may gain privileges"),
        ({"Privileged": True}, "is privileged"),
        ({"Memory": 0}, "is not limited"),
        ({"PidsLimit": None}, "is not limited"),
        ({"PortBindings": EVERYWHERE}, "publishes 8000/tcp beyond this machine"),
    ],
)
def test_each_missing_hardening_is_reported(softened: dict[str, Any], fault: str) -> None:
    assert hardening_faults([container(), container(**softened)]) == [f"order-api: {fault}"]


def test_only_servers_that_own_their_data_may_start_as_root() -> None:
    assert hardening_faults([container("postgres", user="", CapAdd=["CHOWN"])]) == []


def test_dockers_last_error_line_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docker(tmp_path, monkeypatch, "echo building >&2; echo no space left on device >&2; exit 17")
    with pytest.raises(ShopError, match="`docker compose --ansi never up` ended with 17: no space left"):
        Project("a", tmp_path, {}).compose("up")


def test_a_docker_command_that_hangs_is_aborted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docker(tmp_path, monkeypatch, "exec sleep 60")
    with pytest.raises(ShopError, match="did not end within"):
        Project("a", tmp_path, {}).compose("up", seconds=0.2)


def test_a_missing_docker_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ShopError, match="docker is not installed"):
        Project("a", tmp_path, {}).compose("up")


def test_a_compose_project_gets_its_own_ports_and_no_other_shops_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_URL", "http://another.example")
    docker(tmp_path, monkeypatch, 'echo "$COMPOSE_PROJECT_NAME $SHOP_PORT ${SHOP_URL-none}"')
    assert Project("a", tmp_path, {"SHOP_PORT": "21000"}).compose("ps") == "a 21000 none\n"


@contextmanager
def tls_server(vault: Path) -> Iterator[int]:
    """Answers 200 to everything, with the certificate `kong.pem`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(vault / "kong.pem", vault / "kong-key.pem")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join(10)


def test_a_gateway_with_a_certificate_of_another_ca_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for vault in (ours, theirs):
        certificates.provide(vault, "kong", ["localhost"])
    docker(tmp_path, monkeypatch, f"cat {ours}/ca.pem")

    def check(vault: Path) -> None:
        with tls_server(vault) as port:
            project = Project("a", tmp_path, {"SHOP_TLS_PORT": str(port)})
            dict(Checks(project).steps())["Kong serves TLS with a certificate of the shop's CA"]()

    check(ours)
    with pytest.raises(ShopError, match="certificate verify failed"):
        check(theirs)


def test_a_container_is_reported_by_its_services_name() -> None:
    assert service_of(container("kong")) == "kong"


def docker(folder: Path, patch: pytest.MonkeyPatch, script: str) -> None:
    """A `docker` that does no more than this."""
    program = folder / "docker"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    patch.setenv("PATH", f"{folder}:/usr/bin:/bin")
