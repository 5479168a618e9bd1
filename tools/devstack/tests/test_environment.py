"""Whose environment holds which secret: each program is told its own and nobody else's."""

from pathlib import Path

import pytest

from devstack.layout import Layout
from devstack.programs import programs
from devstack.stack import Stack
from shop.secrets import SIGNING_KEYS

OWN = {
    "auth": {"contact-key", "admin-password"},
    "order": {"contact-key", "action-key"},
    "payment": {"stripe-api-key", "stripe-webhook-secret", "action-key"},
    "product": set(),
    "cart": set(),
    "notification": {"contact-key"},
}
TOLD: dict[str, set[str]] = {
    **{name: own | {f"postgres-{name}", f"rabbitmq-{name}"} for name, own in OWN.items()},
    "sandbox": {"stripe-api-key", "stripe-webhook-secret"},
    "monitor": {"rabbitmq-operator"},
}


@pytest.fixture
def told(tmp_path: Path) -> dict[str, str]:
    """Every program's environment as one text."""
    stack = Stack.create(tmp_path, 29000)
    return {program.name: "\n".join(program.environment(stack).values()) for program in programs(stack)}


def test_no_program_is_told_anothers_secret(told: dict[str, str], tmp_path: Path) -> None:
    secrets = {file.name: file.read_text() for file in Layout(tmp_path).secrets.iterdir()}
    assert set().union(*TOLD.values()) <= secrets.keys()

    held = {name: {secret for secret in secrets if secrets[secret] in text} for name, text in told.items()}

    assert held == {name: TOLD.get(name, set()) for name in told}


def test_only_auth_is_told_where_the_signing_keys_are(told: dict[str, str]) -> None:
    assert [name for name, text in told.items() if SIGNING_KEYS in text] == ["auth"]
