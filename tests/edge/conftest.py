"""The edge under test: the stand-in by default, a running Kong when the environment names one.

    export EDGE_URL=http://localhost:8000 EDGE_ADMIN_URL=http://localhost:8001 EDGE_UPSTREAM_HOST=172.17.0.1
    pytest tests/edge

EDGE_UPSTREAM_HOST is this machine as that Kong sees it. EDGE_REDIS (host:port) with EDGE_REDIS_PASSWORD is a
redis that it sees; without one its limits count locally. It must run with `tracing_instrumentations=request`
and `nginx_http_client_max_body_size=8m`. Its configuration is replaced.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shop.provision.kong import render
from tests.edge import fake_redis
from tests.edge.fake import Fake
from tests.edge.running import free_port, load_kong, standin
from tests.edge.tokens import KEY_SET

_LAB = Path(__file__).parent / "lab.yml"
_SHOP = Path(__file__).parents[2] / "deploy/kong/kong.yml"


# Where nobody listens: what the edge would export goes nowhere.
_NOWHERE = "http://127.0.0.1:9/v1/traces"


@contextmanager
def _edge(
    file: Path, folder: Path, ports: dict[str, int], *, redis: str, traces: str | None = None
) -> Iterator[str]:
    host = os.environ.get("EDGE_UPSTREAM_HOST", "127.0.0.1")
    upstreams = {name: f"{host}:{port}" for name, port in ports.items()}
    kong = os.environ.get("EDGE_URL")
    if kong is None:
        text = render(
            file.read_text(),
            keys=KEY_SET,
            redis=redis,
            redis_password=fake_redis.PASSWORD,
            traces_endpoint=traces,
        )
        with standin(text, folder, upstreams) as url:
            yield url
    else:
        shared = os.environ.get("EDGE_REDIS")
        text = render(
            file.read_text(),
            keys=KEY_SET,
            upstreams=upstreams,
            counters="redis" if shared else "local",
            redis=shared,
            redis_password=os.environ.get("EDGE_REDIS_PASSWORD"),
            traces_endpoint=traces,
        )
        load_kong(os.environ["EDGE_ADMIN_URL"], kong, text)
        yield kong


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
def lab(fake: Fake, redis: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of an edge that serves lab.yml."""
    ports = fake.ports | {"dead": free_port()}
    with _edge(_LAB, tmp_path_factory.mktemp("lab"), ports, redis=redis, traces=_NOWHERE) as url:
        yield url


@pytest.fixture(scope="module")
def shop(redis: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of an edge that serves the shop's own kong.yml, with a fake for each service."""
    names = ("auth", "product", "cart", "order", "payment", "storefront")
    folder = tmp_path_factory.mktemp("shop")
    with Fake(*names) as services, _edge(_SHOP, folder, services.ports, redis=redis) as url:
        yield url
