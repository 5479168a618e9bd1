"""The edge under test: the stand-in by default, a running Kong when the environment names one.

    export EDGE_URL=http://localhost:8000 EDGE_ADMIN_URL=http://localhost:8001 EDGE_UPSTREAM_HOST=172.17.0.1
    pytest tests/edge

EDGE_UPSTREAM_HOST is this machine as that Kong sees it. Its configuration is replaced.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from standins.gateway.render import render

from tests.edge.fake import Fake
from tests.edge.running import free_port, load_kong, standin
from tests.edge.tokens import KEY_SET

_LAB = Path(__file__).parent / "lab.yml"


@pytest.fixture(scope="session")
def fake() -> Iterator[Fake]:
    """The service behind the lab's routes."""
    with Fake() as server:
        yield server


@pytest.fixture(scope="module")
def lab(fake: Fake, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of an edge that serves lab.yml."""
    url = os.environ.get("EDGE_URL")
    host = os.environ.get("EDGE_UPSTREAM_HOST", "127.0.0.1")
    upstreams = {"lab": f"{host}:{fake.port}", "dead": f"{host}:{free_port()}"}
    if url is None:
        with standin(
            render(_LAB.read_text(), keys=KEY_SET), tmp_path_factory.mktemp("lab"), upstreams
        ) as url:
            yield url
        return
    load_kong(os.environ["EDGE_ADMIN_URL"], render(_LAB.read_text(), keys=KEY_SET, upstreams=upstreams))
    yield url
