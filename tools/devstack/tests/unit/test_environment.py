"""Each program's environment: its own secrets and nobody else's, its own port beside the shared one."""

from pathlib import Path

import pytest

from devstack.environment import of
from devstack.layout import Layout
from devstack.ports import SIZE
from devstack.programs import programs
from devstack.stack import Stack
from shop.secrets import SIGNING_KEYS

OWN = {
    "auth": {"contact-key", "admin-password", "warehouse-password"},
    "order": {"contact-key", "action-key"},
    "payment": {"stripe-api-key", "stripe-webhook-secret", "action-key"},
    "product": set(),
    "cart": set(),
    "notification": {"contact-key"},
}
HELD: dict[str, set[str]] = {
    **{name: own | {f"postgres-{name}", f"rabbitmq-{name}"} for name, own in OWN.items()},
    "sandbox": {"stripe-api-key", "stripe-webhook-secret"},
    "storefront": {"session-key"},
    "warehouse": {"warehouse-password"},
    "monitor": {"rabbitmq-operator"},
}


@pytest.fixture
def environments(tmp_path: Path) -> dict[str, str]:
    """Every program's environment, and the files of passwords that it names, as one text."""
    stack = Stack.create(tmp_path, 29000)
    found = {program.name: program.environment(stack) for program in programs(stack)}
    return {
        name: "\n".join(
            Path(value).read_text() if variable.endswith("_PASSWORD_FILE") else value
            for variable, value in environment.items()
        )
        for name, environment in found.items()
    }


def test_no_program_is_given_the_secret_of_another(environments: dict[str, str], tmp_path: Path) -> None:
    secrets = {file.name: file.read_text() for file in Layout(tmp_path).secrets.iterdir()}
    assert set().union(*HELD.values()) <= secrets.keys()

    held = {
        name: {secret for secret in secrets if secrets[secret] in text} for name, text in environments.items()
    }

    assert held == {name: HELD.get(name, set()) for name in environments}


def test_only_auth_knows_where_the_signing_keys_are(environments: dict[str, str]) -> None:
    assert [name for name, text in environments.items() if SIGNING_KEYS in text] == ["auth"]


def test_copies_of_a_service_differ_only_in_a_port_of_their_own(tmp_path: Path) -> None:
    stack = Stack.create(tmp_path, 20000, settings={"order": {"LEASE": "5"}}, brokers=2, replicas=2)
    first, second = of(stack, "order"), of(stack, "order-2")
    own = {first.pop("OWN_PORT"), second.pop("OWN_PORT")}
    assert len(own - {first["PORT"]}) == 2
    assert first == second
    assert first["LEASE"] == "5"
    assert len(set(first["AMQP_URL"].split(","))) == 2


def test_a_stack_without_copies_needs_only_its_block_of_ports(tmp_path: Path) -> None:
    stack = Stack.create(tmp_path, 20000)
    assert max(stack.ports.values()) < 20000 + SIZE
    assert "OWN_PORT" not in of(stack, "order")
    assert [program.name for program in programs(stack)] == [program.name for program in programs()]


@pytest.mark.parametrize("in_front", [None, "10.0.0.0/8"])
def test_the_gateway_and_who_counts_clients_trust_the_storefront_and_the_proxies_in_front(
    tmp_path: Path, in_front: str | None
) -> None:
    settings = {"gateway": {"TRUSTED_PROXIES": in_front}} if in_front else {}
    stack = Stack.create(tmp_path, 20000, settings=settings)
    storefront = of(stack, "storefront")["CALL_FROM"]
    expected = f"{storefront},{in_front}" if in_front else storefront
    for program in ("gateway", "auth", "order"):
        assert of(stack, program)["TRUSTED_PROXIES"] == expected
    assert storefront != "127.0.0.1"
    assert "TRUSTED_PROXIES" not in of(stack, "cart")
