"""The edge under test: the stand-in by default, a running Kong when the environment names one.

    export EDGE_URL=http://localhost:8000 EDGE_ADMIN_URL=http://localhost:8001 EDGE_UPSTREAM_HOST=172.17.0.1
    pytest tests/edge

EDGE_UPSTREAM_HOST is this machine as that Kong sees it. Its configuration is replaced.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from standins.gateway.render import render
from tests.edge.fake import Fake
from tests.edge.running import free_port, load_kong, standin
from tests.edge.tokens import KEY_SET

_LAB = Path(__file__).parent / "lab.yml"
_SHOP = Path(__file__).parents[2] / "deploy/kong/kong.yml"


@contextmanager
def _edge(file: Path, folder: Path, ports: dict[str, int]) -> Iterator[str]:
    host = os.environ.get("EDGE_UPSTREAM_HOST", "127.0.0.1")
    upstreams = {name: f"{host}:{port}" for name, port in ports.items()}
    kong = os.environ.get("EDGE_URL")
    if kong is None:
        with standin(render(file.read_text(), keys=KEY_SET), folder, upstreams) as url:
            yield url
    else:
        load_kong(os.environ["EDGE_ADMIN_URL"], render(file.read_text(), keys=KEY_SET, upstreams=upstreams))
        yield kong


@pytest.fixture(scope="module")
def fake() -> Iterator[Fake]:
    """What stands behind the lab's routes."""
    with Fake("lab") as server:
        yield server


@pytest.fixture(scope="module")
def lab(fake: Fake, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of an edge that serves lab.yml."""
    ports = fake.ports | {"dead": free_port()}
    with _edge(_LAB, tmp_path_factory.mktemp("lab"), ports) as url:
        yield url


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of an edge that serves the shop's own kong.yml, with a fake for each service."""
    names = ("auth", "product", "cart", "order", "payment", "storefront")
    with Fake(*names) as services, _edge(_SHOP, tmp_path_factory.mktemp("shop"), services.ports) as url:
        yield url
