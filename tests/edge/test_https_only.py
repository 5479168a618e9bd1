"""The shop's own kong.yml, rendered for HTTPS only: everything is redirected, and browsers remember it."""

import pytest

from tests.edge.conftest import Edge
from tests.edge.test_shop import GUARDED, OPEN

WEBHOOK = ("POST", "/v1/webhooks/stripe")


@pytest.mark.parametrize(
    ("method", "path"), [(method, path) for method, path, _ in (*OPEN, *GUARDED) if (method, path) != WEBHOOK]
)
def test_every_endpoint_redirects_to_https_with_its_query(https_shop: Edge, method: str, path: str) -> None:
    reply = https_shop.ask({"method": method, "path": path, "headers": {"Host": "shop.example"}, "token": {}})
    assert (reply.status, reply.headers["location"]) == (308, f"https://shop.example{path}")
    assert "strict-transport-security" not in reply.headers


@pytest.mark.parametrize(("path", "status"), [("/v1/products", 200), ("/v1/cart", 401), ("/docs", 200)])
def test_over_tls_everything_is_served_with_hsts_and_the_other_headers(
    https_shop: Edge, path: str, status: int
) -> None:
    reply = https_shop.ask({"path": path, "tls": True})
    assert reply.status == status
    assert reply.headers["strict-transport-security"] == "max-age=300"
    assert reply.headers["x-content-type-options"] == "nosniff"


def test_a_service_sees_that_the_client_came_by_tls(https_shop: Edge) -> None:
    seen = https_shop.ask({"path": "/v1/products", "tls": True}).json()["headers"]
    assert https_shop.tls is not None
    assert (seen["x-forwarded-proto"], seen["x-forwarded-port"]) == (
        "https",
        https_shop.tls.rpartition(":")[2],
    )


def test_the_providers_webhook_is_served_without_tls_and_never_redirected(https_shop: Edge) -> None:
    method, path = WEBHOOK
    for tls in (False, True):
        assert https_shop.ask({"method": method, "path": path, "tls": tls}).status == 200


def test_an_endpoint_that_is_not_there_is_redirected_where_there_is_a_page_for_it(https_shop: Edge) -> None:
    assert https_shop.ask({"path": "/metrics"}).status == 308
    assert https_shop.ask({"method": "POST", "path": "/metrics"}).status == 404
