"""The files of a rotation: what each step writes, and that an interrupted one goes on."""

import stat
from pathlib import Path

import pytest

from shop.errors import ShopError
from shop.passwords import rotation
from shop.secrets import Secrets


def lines(vault: Secrets, name: str) -> list[str]:
    return vault.path(name).read_text().splitlines()


def test_a_service_has_two_roles_and_a_user_at_the_broker() -> None:
    assert rotation.names(["order"]) == ["postgres-order", "postgres-order-owner", "rabbitmq-order"]
    assert len(rotation.names([])) == 18


def test_an_unknown_service_is_named() -> None:
    with pytest.raises(ShopError, match=r"^no service orders: choose among auth, product"):
        rotation.names(["orders"])


def test_a_rotation_puts_a_new_password_before_the_old_one_and_then_drops_the_old_one(vault: Secrets) -> None:
    names = rotation.names(["order"])
    old = {name: vault.password(name) for name in names}

    assert rotation.begin(vault, names) == names

    new = {name: vault.password(name) for name in names}
    assert [lines(vault, name) for name in names] == [[new[name], old[name]] for name in names]
    assert set(new.values()).isdisjoint(old.values())
    assert len(set(new.values())) == len(names)

    assert rotation.finish(vault, names) == names

    assert [lines(vault, name) for name in names] == [[new[name]] for name in names]


def test_other_services_passwords_stay(vault: Secrets) -> None:
    before = lines(vault, "postgres-cart")
    rotation.begin(vault, rotation.names(["order"]))
    rotation.finish(vault, rotation.names(["order"]))
    assert lines(vault, "postgres-cart") == before


def test_a_rotation_that_has_begun_is_not_begun_again(vault: Secrets) -> None:
    names = rotation.names(["order"])
    rotation.begin(vault, names[:1])
    first = lines(vault, names[0])

    assert rotation.begin(vault, names) == names[1:]
    assert lines(vault, names[0]) == first


def test_finishing_again_changes_nothing(vault: Secrets) -> None:
    names = rotation.names(["order"])
    rotation.begin(vault, names)
    rotation.finish(vault, names[:1])
    new = vault.password(names[0])

    assert rotation.finish(vault, names) == names[1:]
    assert lines(vault, names[0]) == [new]


def test_the_files_are_the_owners_alone_in_every_state(vault: Secrets) -> None:
    file = vault.path("postgres-order")
    for step in (vault.begin_rotation, vault.finish_rotation):
        assert step("postgres-order")
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", ["hunter2\nhunter2\nhunter2", "\nhunter2", ""])
def test_a_file_that_holds_something_else_is_named_and_stays(vault: Secrets, content: str) -> None:
    file = vault.path("postgres-order")
    file.write_text(content)
    for step in (rotation.begin, rotation.finish):
        with pytest.raises(ShopError) as refused:
            step(vault, ["postgres-order"])
        assert str(file) in str(refused.value)
        assert "hunter2" not in str(refused.value)
    assert file.read_text() == content


def test_a_password_that_was_never_made_cannot_be_rotated(tmp_path: Path) -> None:
    with pytest.raises(ShopError, match="postgres-order: No such file"):
        rotation.begin(Secrets(tmp_path), ["postgres-order"])
