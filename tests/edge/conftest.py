"""The edge under test: the stand-in by default, a running Kong when the environment names one.

    export EDGE_URL=http://localhost:8000 EDGE_ADMIN_URL=http://localhost:8001 EDGE_UPSTREAM_HOST=172.17.0.1
    pytest tests/edge

EDGE_UPSTREAM_HOST is this machine as that Kong sees it. EDGE_REDIS (host:port) with EDGE_REDIS_PASSWORD is a
redis that it sees; without one its limits count locally. It must run with `tracing_instrumentations=request`,
`nginx_http_client_max_body_size=8m` and `error_template_html` of deploy/kong/error.html. EDGE_TLS_URL is
where it serves TLS, EDGE_TLS_CA the file of its certificate's CA; without it no row over TLS is asked. Its
configuration is replaced.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from shop.provision.kong import render
from tests.edge import fake_redis
from tests.edge.asking import Reply, ask
from tests.edge.fake import Fake
from tests.edge.running import free_port, load_kong, standin, tls_settings
from tests.edge.tokens import KEY_SET

_LAB = Path(__file__).parent / "lab.yml"
_SHOP = Path(__file__).parents[2] / "deploy/kong/kong.yml"
_ERROR_PAGE = _SHOP.with_name("error.html")
_SERVICES = ("auth", "product", "cart", "order", "payment", "storefront")


# Where nobody listens: what the edge would export goes nowhere.
_NOWHERE = "http://127.0.0.1:9/v1/traces"


@dataclass(frozen=True)
class Edge:
    """`tls` is its address over TLS, and `ca` the file of whom to trust there; None where a Kong has none."""

    url: str
    tls: str | None
    ca: Path | None

    def ask(self, send: dict[str, Any]) -> Reply:
        """Over TLS if `send` says so."""
        if not send.get("tls"):
            return ask(self.url, send)
        if self.tls is None:
            pytest.skip("EDGE_TLS_URL is not set")
        return ask(self.tls, send, self.ca)


@contextmanager
def _edge(file: Path, folder: Path, ports: dict[str, int], *, redis: str, **rendering: Any) -> Iterator[Edge]:
    host = os.environ.get("EDGE_UPSTREAM_HOST", "127.0.0.1")
    upstreams = {name: f"{host}:{port}" for name, port in ports.items()}
    kong = os.environ.get("EDGE_URL")
    if kong is None:
        text = render(
            file.read_text(), keys=KEY_SET, redis=redis, redis_password=fake_redis.PASSWORD, **rendering
        )
        port = free_port()
        settings = tls_settings(folder, port) | {"ERROR_TEMPLATE_HTML": str(_ERROR_PAGE)}
        with standin(text, folder, upstreams, **settings) as url:
            yield Edge(url, f"https://localhost:{port}", folder / "ca.pem")
    else:
        shared = os.environ.get("EDGE_REDIS")
        text = render(
            file.read_text(),
            keys=KEY_SET,
            upstreams=upstreams,
            counters="redis" if shared else "local",
            redis=shared,
            redis_password=os.environ.get("EDGE_REDIS_PASSWORD"),
            **rendering,
        )
        load_kong(os.environ["EDGE_ADMIN_URL"], kong, text)
        ca = os.environ.get("EDGE_TLS_CA")
        yield Edge(kong, os.environ.get("EDGE_TLS_URL"), Path(ca) if ca else None)


@pytest.fixture(scope="module")
def redis() -> Iterator[str]:
    """The address of a redis that wants fake_redis.PASSWORD."""
    with fake_redis.running() as address:
        yield address


@pytest.fixture(scope="module")
def fake() -> Iterator[Fake]:
    """The upstream behind the lab's routes."""
    with Fake("lab") as server:
        yield server


@pytest.fixture(scope="module")
def lab_edge(fake: Fake, redis: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """An edge that serves lab.yml."""
    ports = fake.ports | {"dead": free_port()}
    folder = tmp_path_factory.mktemp("lab")
    with _edge(_LAB, folder, ports, redis=redis, traces_endpoint=_NOWHERE) as edge:
        yield edge


@pytest.fixture(scope="module")
def lab(lab_edge: Edge) -> str:
    """Its base URL."""
    return lab_edge.url


@pytest.fixture(scope="module")
def shop(redis: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of an edge that serves the shop's own kong.yml, with a fake for each service."""
    folder = tmp_path_factory.mktemp("shop")
    with Fake(*_SERVICES) as services, _edge(_SHOP, folder, services.ports, redis=redis) as edge:
        yield edge.url


@pytest.fixture(scope="module")
def https_shop(redis: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """Likewise, rendered for HTTPS only, with HSTS of 300 seconds."""
    folder, options = tmp_path_factory.mktemp("https"), {"https_only": True, "hsts": 300}
    with Fake(*_SERVICES) as services, _edge(_SHOP, folder, services.ports, redis=redis, **options) as edge:
        yield edge
