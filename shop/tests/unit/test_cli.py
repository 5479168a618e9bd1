"""The one command line: what it has by itself, and what other packages add where they are installed."""

import importlib
from collections.abc import Iterator

import pytest
from typer.main import get_group

from shop import cli, targets
from shop.errors import ShopError

ADDED = {"up", "down", "status", "logs", "bench", "chaos", "compose", "demo", "replay", "scenario"}


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As in the operator's image, where no other package brings anything."""
    with monkeypatch.context() as patch:
        patch.setattr("importlib.metadata.entry_points", lambda **_: ())
        patch.setattr("shop.targets.entry_points", lambda **_: ())
        importlib.reload(cli)
        yield
    importlib.reload(cli)


def test_the_stack_and_the_laboratory_add_their_verbs() -> None:
    assert get_group(cli.app).commands.keys() > ADDED


@pytest.mark.usefixtures("alone")
def test_without_them_the_operators_verbs_are_left() -> None:
    verbs = get_group(cli.app).commands.keys()
    assert not verbs & ADDED
    assert verbs >= {"saga", "ledger", "dead-letters", "mails", "audit", "broker", "keys", "provision", "env"}


@pytest.mark.usefixtures("alone")
def test_without_a_stack_an_operator_is_told_to_name_the_shop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHOP_URL", raising=False)
    with pytest.raises(ShopError, match="SHOP_URL is not set"):
        targets.resolve()
