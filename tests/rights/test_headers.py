"""No header but a token says who is calling: not one that a gateway has set, and not one that is missing."""

from collections.abc import Mapping
from uuid import uuid4

import httpx
import pytest

from tests.rights.world import World, bearing

ELSEWHERE = "shop.elsewhere.example"
GUARDED = [
    ("auth", "GET", "/v1/users/me"),
    ("product", "POST", "/v1/products"),
    ("product", "GET", "/v1/products?status=retired"),
    ("cart", "GET", "/v1/cart"),
    ("order", "GET", "/v1/orders"),
]
DOORS = ["service", "gateway"]


def forged(who: str, name: str) -> Mapping[str, str]:
    """What gateways and proxies say to the services behind them."""
    return {
        "X-Consumer-ID": who,
        "X-Consumer-Custom-ID": who,
        "X-Consumer-Username": name,
        "X-Consumer-Groups": name,
        "X-Credential-Identifier": who,
        "X-Anonymous-Consumer": "false",
        "X-Authenticated-Userid": who,
        "X-Authenticated-Scope": "account:read account:write catalogue:write orders:read-all orders:refund",
        "X-Userinfo": "eyJyb2xlIjogImFkbWluIn0=",
        "X-Forwarded-User": name,
        "X-Forwarded-For": "127.0.0.1",
        "X-Forwarded-Host": ELSEWHERE,
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Prefix": "/admin",
        "X-Real-IP": "127.0.0.1",
        "Forwarded": f"for=127.0.0.1;host={ELSEWHERE};proto=https",
        "X-Original-URL": "/v1/products",
        "X-Rewrite-URL": "/v1/products",
        "X-HTTP-Method-Override": "DELETE",
    }


def base(world: World, door: str, service: str) -> str:
    return world.stack.gateway_url if door == "gateway" else world.stack.http(service)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(("service", "method", "path"), GUARDED)
def test_headers_without_a_token_give_no_access(
    world: World, door: str, service: str, method: str, path: str
) -> None:
    url = base(world, door, service) + path
    claims = forged(world.shopper.id, "admin")
    for headers in (claims, *({name: value} for name, value in claims.items())):
        assert world.http.request(method, url, headers=headers).status_code == 401, headers


@pytest.mark.parametrize("door", DOORS)
def test_headers_do_not_change_who_a_shopper_is(world: World, door: str) -> None:
    headers = {**forged(world.another.id, "admin"), **bearing(world.shopper.token)}
    order_id = world.order

    def ask(service: str, method: str, path: str) -> httpx.Response:
        return world.http.request(method, base(world, door, service) + path, headers=headers)

    assert ask("auth", "GET", "/v1/users/me").json()["id"] == world.shopper.id
    assert order_id in str(ask("order", "GET", "/v1/orders").json())
    assert ask("order", "GET", f"/v1/orders?shopper_id={world.another.id}").status_code == 403
    assert ask("product", "GET", "/v1/products?status=retired").status_code == 403
    assert ask("product", "GET", f"/v1/products/{world.sku}/stock").status_code == 403


@pytest.mark.parametrize("door", DOORS)
def test_headers_do_not_override_the_method_or_the_path(world: World, door: str) -> None:
    token = world.token("guest")
    assert token is not None
    assert world.try_to_fill_cart(token, world.sku) == 200
    headers = {**forged(world.shopper.id, "admin"), **bearing(token)}
    cart = world.http.get(f"{base(world, door, 'cart')}/v1/cart/lines", headers=headers)
    again = world.http.get(f"{base(world, door, 'cart')}/v1/cart/lines", headers=headers)
    assert cart.json() == again.json()
    assert cart.json()["items"] == [{"sku": world.sku, "quantity": 1}]


@pytest.mark.parametrize("named", ["Authorization", "authorization, x-consumer-id", "close, Authorization"])
def test_a_token_that_was_removed_behind_the_gateway_gives_no_access(world: World, named: str) -> None:
    headers = {**forged(world.shopper.id, "admin"), **bearing(world.shopper.token), "Connection": named}
    for service, method, path in GUARDED:
        answer = world.http.request(method, base(world, "gateway", service) + path, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json", "the service itself refuses"


@pytest.mark.parametrize("host", [{}, {"Host": ELSEWHERE}])
@pytest.mark.parametrize("door", DOORS)
def test_no_response_links_to_the_host_of_a_header(world: World, door: str, host: Mapping[str, str]) -> None:
    token = world.shopper.token
    assert world.try_to_fill_cart(token) == 200
    headers = {**forged(world.another.id, "admin"), **bearing(token), **host}

    def ask(service: str, method: str, path: str, **more: object) -> httpx.Response:
        given = {**headers, "Idempotency-Key": uuid4().hex}
        request = world.http.build_request(method, base(world, door, service) + path, headers=given, **more)  # type: ignore[arg-type]
        return world.http.send(request)

    placed = ask("order", "POST", "/v1/orders", json={"payment_method": "pm_card_visa"})
    assert placed.status_code == 202
    assert placed.headers["location"].startswith("/v1/orders/")
    for answer in (
        placed,
        ask("product", "GET", "/v1/products?limit=1"),
        ask("order", "GET", "/v1/orders?limit=1"),
        ask("cart", "GET", "/v1/cart/"),
        ask("cart", "GET", "/nowhere"),
    ):
        assert ELSEWHERE not in f"{answer.headers}{answer.text}"


@pytest.mark.parametrize("more", [{}, {"Connection": "X-Forwarded-For, X-Real-IP"}])
def test_a_password_guesser_cannot_forge_addresses_to_escape_the_limit(
    world: World, more: Mapping[str, str]
) -> None:
    form = {"username": f"{uuid4().hex}@example.com", "password": "wrong horse"}

    def guess(n: int) -> int:
        seem = {"X-Forwarded-For": f"203.0.113.{n}, 198.51.100.{n}", "X-Real-IP": f"203.0.113.{n}"}
        seem |= {"Forwarded": f"for=203.0.113.{n}", "X-Client-IP": f"203.0.113.{n}"}
        url = f"{world.stack.gateway_url}/v1/token"
        return world.http.post(url, data=form, headers={**seem, **more}).status_code

    assert [guess(n) for n in range(12)] == [400] * 10 + [429] * 2
