"""What the stand-in's status listener tells of requests, by Kong's names."""

import socket
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from shop.provision.kong import render
from tests.edge.asking import ask
from tests.edge.fake import Fake
from tests.edge.running import free_port, standin
from tests.edge.tokens import KEY_SET

_FOLDER = Path(__file__).parent
_SHOP = yaml.safe_load((_FOLDER.parents[1] / "deploy/kong/kong.yml").read_text())


def _measured_lab() -> str:
    """lab.yml with the shop's own settings of the prometheus plugin."""
    lab = yaml.safe_load((_FOLDER / "lab.yml").read_text())
    lab["plugins"] += [plugin for plugin in _SHOP["plugins"] if plugin["name"] == "prometheus"]
    return render(yaml.safe_dump(lab), keys=KEY_SET)


def _figures(status: int) -> list[str]:
    return ask(f"http://127.0.0.1:{status}", {"path": "/metrics"}).body.decode().splitlines()


def test_requests_are_counted_by_route_status_and_source(fake: Fake, tmp_path: Path) -> None:
    status, addresses = free_port(), fake.addresses | {"dead": f"127.0.0.1:{free_port()}"}
    with standin(_measured_lab(), tmp_path, addresses, STATUS_PORT=str(status)) as edge:
        for path in ("/open", "/open/x", "/guarded", "/dead", "/nowhere"):
            ask(edge, {"path": path})
        figures = _figures(status)
    requests = [line for line in figures if line.startswith("kong_http_requests_total")]
    rest = 'workspace="default",consumer=""} '
    assert requests == [
        f'kong_http_requests_total{{service="dead",route="dead",code="502",source="kong",{rest}1',
        f'kong_http_requests_total{{service="lab",route="guarded",code="401",source="kong",{rest}1',
        f'kong_http_requests_total{{service="lab",route="open",code="200",source="service",{rest}2',
    ]
    labels = 'service="lab",route="open",workspace="default"'
    for name in ("kong_kong_latency_ms", "kong_upstream_latency_ms", "kong_request_latency_ms"):
        assert f'{name}_bucket{{{labels},le="+Inf"}} 2' in figures
        assert f"{name}_count{{{labels}}} 2" in figures


def test_the_time_of_a_service_counts_where_it_was_asked_in_vain_and_only_there(
    fake: Fake, tmp_path: Path
) -> None:
    status, addresses = free_port(), fake.addresses | {"dead": f"127.0.0.1:{free_port()}"}
    with standin(_measured_lab(), tmp_path, addresses, STATUS_PORT=str(status)) as edge:
        for path in ("/dead", "/impatient?do=hang&key=counted", "/guarded", "/unknown"):
            ask(edge, {"path": path})
        counts = [line for line in _figures(status) if line.startswith("kong_upstream_latency_ms_count")]
    assert counts == [
        f'kong_upstream_latency_ms_count{{service="{name}",route="{name}",workspace="default"}} 1'
        for name in ("dead", "impatient")
    ]


def test_a_client_that_leaves_before_the_answer_is_counted_as_499(fake: Fake, tmp_path: Path) -> None:
    status, left = free_port(), fake.leaving("counted-499")
    with standin(_measured_lab(), tmp_path, fake.addresses, STATUS_PORT=str(status)) as edge:
        with socket.create_connection(("127.0.0.1", urlsplit(edge).port or 0), timeout=10) as connection:
            connection.sendall(b"GET /open?do=hang&key=counted-499 HTTP/1.1\r\nHost: shop\r\n\r\n")
            assert fake.asked("counted-499").wait(10)
        assert left.wait(10)
        requests = [line for line in _figures(status) if line.startswith("kong_http_requests_total")]
    labels = 'service="lab",route="open",code="499",source="service",workspace="default",consumer=""'
    assert requests == [f"kong_http_requests_total{{{labels}}} 1"]
