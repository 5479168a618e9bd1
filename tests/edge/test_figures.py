"""What the stand-in's status listener tells of requests, by Kong's names."""

from pathlib import Path

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


def test_requests_are_counted_by_route_status_and_source(fake: Fake, tmp_path: Path) -> None:
    status, addresses = free_port(), fake.addresses | {"dead": f"127.0.0.1:{free_port()}"}
    with standin(_measured_lab(), tmp_path, addresses, STATUS_PORT=str(status)) as edge:
        for path in ("/open", "/open/x", "/guarded", "/dead", "/nowhere"):
            ask(edge, {"path": path})
        figures = ask(f"http://127.0.0.1:{status}", {"path": "/metrics"}).body.decode().splitlines()
    requests = [line for line in figures if line.startswith("kong_http_requests_total")]
    assert requests == [
        'kong_http_requests_total{service="dead",route="dead",code="502",source="kong",consumer=""} 1',
        'kong_http_requests_total{service="lab",route="guarded",code="401",source="kong",consumer=""} 1',
        'kong_http_requests_total{service="lab",route="open",code="200",source="service",consumer=""} 2',
    ]
    for name in ("kong_kong_latency_ms", "kong_upstream_latency_ms", "kong_request_latency_ms"):
        assert f'{name}_bucket{{service="lab",route="open",le="+Inf"}} 2' in figures
        assert f'{name}_count{{service="lab",route="open"}} 2' in figures
    assert not [line for line in figures if line.startswith("kong_upstream") and 'route="guarded"' in line]
