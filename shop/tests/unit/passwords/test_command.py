"""`shop secrets begin` and `finish` on a vault's folder: what they print, and what they refuse."""

from pathlib import Path

from typer.testing import CliRunner, Result

from shop.cli import app
from shop.passwords import rotation
from shop.secrets import Secrets


def shop(vault: Secrets, *arguments: str) -> Result:
    folder = vault.path("postgres-order").parent
    return CliRunner().invoke(app, ["secrets", *arguments, "--secrets", str(folder)])


def test_both_steps_count_what_they_changed_and_print_no_password(vault: Secrets) -> None:
    begun = [shop(vault, "begin", "order"), shop(vault, "begin")]
    both = [vault.path(name).read_text().split() for name in rotation.names([])]
    finished = [shop(vault, "finish", "order", "cart"), shop(vault, "finish")]

    assert [result.exit_code for result in (*begun, *finished)] == [0] * 4
    assert "3 of 3 passwords" in begun[0].output
    assert "15 of 18 passwords" in begun[1].output
    assert "6 of 6 old passwords" in finished[0].output
    assert "12 of 18 old passwords" in finished[1].output
    printed = "".join(result.output for result in (*begun, *finished))
    assert not [password for passwords in both for password in passwords if password in printed]


def test_an_unknown_service_changes_nothing(vault: Secrets) -> None:
    before = vault.read("postgres-order")
    result = shop(vault, "begin", "order", "orders")
    assert str(result.exception).startswith("no service orders: choose among")
    assert vault.read("postgres-order") == before


def test_a_folder_without_the_passwords_is_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["secrets", "begin", "--secrets", str(tmp_path / "none")])
    assert str(result.exception).startswith(f"cannot read {tmp_path}/none/postgres-auth: No such file")
