"""The storefront calls the API through the gateway, as a proxy that is trusted: each shopper behind it is
counted by an address of its own, which no client can choose.

The stand-in, the storefront's own process, and a service that keeps what it is asked. Shoppers are addresses
of this machine: Linux has all of 127.0.0.0/8.
"""

import http.client
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.fernet import Fernet

from chassis.http.origin import client_of, networks
from shop.provision.kong import render
from tests.edge.running import free_port, standin
from tests.edge.test_behaviour import within_one_minute
from tests.edge.tokens import KEY_SET

SHOP = (Path(__file__).parents[2] / "deploy/kong/kong.yml").read_text()
STOREFRONT = "127.0.0.2"
CALLS_A_MINUTE = 3  # of each address, to the API; pages have a limit of their own
FORGED = [
    {},
    {"X-Forwarded-For": "203.0.113.9"},
    {"X-Forwarded-For": f"203.0.113.9, {STOREFRONT}", "X-Real-IP": "203.0.113.9"},
    {"Forwarded": "for=203.0.113.9", "X-Forwarded-For": "203.0.113.9", "Connection": "X-Forwarded-For"},
]


@dataclass
class Product:
    """Knows no product, and keeps the headers of requests by path, with names in lower case."""

    asked: dict[str, dict[str, str]] = field(default_factory=dict)

    def serve(self) -> ThreadingHTTPServer:
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked[self.path] = {name.lower(): value for name, value in self.headers.items()}
                self.send_response(404)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None: ...

        return ThreadingHTTPServer(("127.0.0.1", 0), Handler)


@dataclass
class Pages:
    """The gateway's port, and the product service behind all."""

    port: int
    product: Product

    def product_page(self, sku: str, shopper: str, **headers: str) -> int:
        """The status of the page, for a shopper at that address."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, 30, source_address=(shopper, 0))
        try:
            connection.request("GET", f"/p/{sku}", headers=headers)
            return connection.getresponse().status
        finally:
            connection.close()


def limited() -> str:
    """The shop's file, with a limit that a test can reach."""
    document = yaml.safe_load(render(SHOP, keys=KEY_SET, counters="local"))
    for plugin in document["plugins"]:
        if plugin["name"] == "rate-limiting":
            plugin["config"]["minute"] = CALLS_A_MINUTE
    return yaml.safe_dump(document)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    product, storefront_port = Product(), free_port()
    server = product.serve()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    upstreams = dict.fromkeys(("auth", "cart", "order", "payment"), "127.0.0.1:9")
    upstreams |= {
        "product": f"127.0.0.1:{server.server_port}",
        "storefront": f"127.0.0.1:{storefront_port}",
    }
    folder = tmp_path_factory.mktemp("storefront")
    with standin(limited(), folder, upstreams, TRUSTED_PROXIES=STOREFRONT) as url:
        settings = {
            "PORT": str(storefront_port),
            "GATEWAY_URL": url,
            "CALL_FROM": STOREFRONT,
            "SHOP_ORIGINS": url,
            "SESSION_KEY": Fernet.generate_key().decode(),
        }
        process = subprocess.Popen([sys.executable, "-m", "storefront"], env=os.environ | settings)
        try:
            until_it_listens(storefront_port)
            yield Pages(int(url.rpartition(":")[2]), product)
        finally:
            process.terminate()
            process.wait(20)
            server.shutdown()


def until_it_listens(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, 5)
        try:
            connection.request("GET", "/healthz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.05)
        finally:
            connection.close()
    raise AssertionError("the storefront did not listen in time")


@pytest.mark.parametrize("forged", FORGED)
def test_no_client_can_choose_the_address_that_it_has_behind_the_storefront(
    pages: Pages, forged: dict[str, str]
) -> None:
    shopper, sku = f"127.0.1.{FORGED.index(forged) + 1}", f"FORGED-{FORGED.index(forged)}"
    assert pages.product_page(sku, shopper, **forged) == 404
    seen = pages.product.asked[f"/v1/products/{sku}"]
    assert seen["x-real-ip"] == shopper
    # As auth and order read it, for the limits of their own.
    assert client_of(seen["x-forwarded-for"].split(","), networks(STOREFRONT)) == shopper


def test_shoppers_behind_the_storefront_are_counted_apart(pages: Pages) -> None:
    within_one_minute()
    one, other = "127.0.2.1", "127.0.2.2"
    found = [
        pages.product_page(f"MANY-{number}", one, **FORGED[number % len(FORGED)])
        for number in range(CALLS_A_MINUTE + 1)
    ]
    assert found == [404] * CALLS_A_MINUTE + [429]
    assert pages.product_page("OTHER", other) == 404


def test_who_is_not_the_storefront_is_not_believed(pages: Pages) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", pages.port, 30)
    connection.request("GET", "/v1/products/DIRECT", headers={"X-Forwarded-For": "203.0.113.9"})
    connection.getresponse().read()
    connection.close()
    assert pages.product.asked["/v1/products/DIRECT"]["x-real-ip"] == "127.0.0.1"
