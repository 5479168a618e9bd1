"""Odd requests to every service of a running shop, with real tokens: what comes back is what its document
says, and never a 5xx."""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from devstack import Stack

CONFIG = Path(__file__).with_name("schemathesis.toml")
SEED = 1
EXAMPLES = 10
SECONDS = 240
ROLES = {
    "auth": ("shopper",),
    "product": ("admin",),
    "cart": ("guest",),
    "order": ("shopper", "admin"),
    "payment": ("guest",),
}


@pytest.fixture(scope="module")
def tokens(stack: Stack) -> Mapping[str, str]:
    """An access token for each role; shopper and guest have something in the cart."""
    with httpx.Client(base_url=stack.gateway_url, timeout=30) as http:

        def log_in(email: str, password: str) -> str:
            answer = http.post("/v1/token", data={"username": email, "password": password})
            return str(answer.raise_for_status().json()["access_token"])

        account = {"email": f"{uuid4().hex}@example.com", "password": uuid4().hex}
        http.post("/v1/users", json=account).raise_for_status()
        admin = log_in(stack.admin_email, stack.admin_password)
        shopper = log_in(**account)
        guest = http.post("/v1/guests").raise_for_status().json()["access_token"]
        sku = uuid4().hex[:12]
        product = {"sku": sku, "name": "Lantern", "price": 250, "stock": 1000}
        http.post("/v1/products", json=product, headers=_bearer(admin)).raise_for_status()
        for token in (shopper, guest):
            cart = {"items": [{"sku": sku, "quantity": 1}]}
            http.put("/v1/cart", json=cart, headers=_bearer(token)).raise_for_status()
        return {"admin": admin, "shopper": shopper, "guest": guest}


@pytest.mark.timeout(SECONDS + 20)
@pytest.mark.parametrize(("service", "role"), [(s, role) for s, roles in ROLES.items() for role in roles])
def test_every_answer_is_documented(
    service: str, role: str, stack: Stack, tokens: Mapping[str, str], tmp_path: Path
) -> None:
    url = f"{stack.http(service)}/openapi.json"
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run", url),
        *("--header", f"Authorization: Bearer {tokens[role]}"),
        *("--seed", str(SEED), "--max-examples", str(EXAMPLES), "--workers", "1"),
        *("--phases", "coverage,fuzzing", "--request-timeout", "15", "--warnings", "off"),
        *("--no-color", "--continue-on-failure"),
    ]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS)
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:]
    asked = re.search(r"(\d+) generated", ran.stdout)
    assert asked
    assert int(asked[1]) >= 20, "it has hardly asked anything"


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
