"""The shop as `shop up` leaves it."""

import ssl

import httpx
import pytest

from devstack import Stack
from devstack.programs import programs
from devstack.status import status
from shop.targets import SERVICES


def test_every_program_is_ready_and_has_an_address(stack: Stack) -> None:
    assert all(one.ready for one in status(stack, programs()))
    assert {*SERVICES, "gateway", "rabbitmq"} <= stack.urls().keys()


def test_the_catalogue_is_served_through_the_gateway(stack: Stack) -> None:
    answer = httpx.get(f"{stack.gateway_url}/v1/products", timeout=10)

    assert answer.status_code == 200
    assert answer.headers["via"].endswith("kong/3.9.3")


def test_the_gateway_serves_tls_with_a_certificate_of_the_stacks_own_ca(stack: Stack) -> None:
    trusting = ssl.create_default_context(cafile=stack.layout.secrets / "ca.pem")

    answer = httpx.get(f"{stack.gateway_tls_url}/v1/products", timeout=10, verify=trusting)

    assert answer.status_code == 200
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"{stack.gateway_tls_url}/v1/products", timeout=10)


def test_the_administrator_signs_in_with_the_generated_password(stack: Stack) -> None:
    form = {"grant_type": "password", "username": "admin@example.com"}

    answer = httpx.post(
        f"{stack.gateway_url}/v1/token", data={**form, "password": stack.secret("admin-password")}, timeout=10
    )

    assert answer.status_code == 200, answer.text
