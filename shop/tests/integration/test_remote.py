"""A remote target: which variables it needs, and what is reported when one is missing or wrong."""

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from devstack import Stack
from devstack.programs import script
from shop import remote, targets
from shop.cli import app
from shop.errors import ShopError
from shop.remote import RemoteTarget, remote_settings

from .conftest import Tell

pytestmark = pytest.mark.usefixtures("tell")


@pytest.mark.parametrize(
    ("ask", "name"),
    [
        (lambda target: target.gateway_url, "SHOP_URL"),
        (lambda target: target.sandbox_url, "SHOP_SANDBOX_URL"),
        (lambda target: target.provider_key, "SHOP_STRIPE_API_KEY"),
        (lambda target: target.mailbox_url, "SHOP_MAILBOX_URL"),
        (lambda target: target.management_url, "SHOP_MANAGEMENT_URL"),
        (lambda target: target.operator_amqp_url, "SHOP_AMQP_URL"),
        (lambda target: target.operator_dsn(), "SHOP_DATABASE_URL"),
        (lambda target: target.admin_email, "SHOP_ADMIN_EMAIL"),
        (lambda target: target.admin_password, "SHOP_ADMIN_PASSWORD"),
    ],
)
def test_what_is_missing_is_named_when_it_is_needed(ask: Callable[[RemoteTarget], str], name: str) -> None:
    with pytest.raises(ShopError, match=f"^{name} is not set") as missing:
        ask(RemoteTarget(remote_settings()))
    assert "\n" not in str(missing.value)


def test_passwords_come_from_files_into_the_addresses(tell: Tell, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s/cret\n")
    tell(
        AMQP_URL="amqp://operator@rabbitmq/",
        AMQP_PASSWORD_FILE=str(tmp_path / "password"),
        DATABASE_URL="postgresql://operator@postgres:5432/postgres",
        DATABASE_PASSWORD_FILE=str(tmp_path / "password"),
    )
    target = RemoteTarget(remote_settings())
    assert target.operator_amqp_url == "amqp://operator:s%2Fcret@rabbitmq/"
    assert "2Fcret" not in repr(target)
    assert target.operator_dsn("order") == "postgresql://operator:s%2Fcret@postgres:5432/order"


def test_a_remote_target_is_named_by_the_option_or_else_by_the_environment(tell: Tell) -> None:
    tell(URL="http://kong:8000")
    assert targets.resolve().gateway_url == "http://kong:8000"
    assert targets.resolve("http://localhost:8000/").gateway_url == "http://localhost:8000"


def test_two_shops_at_once_are_refused(tell: Tell) -> None:
    tell(URL="http://kong:8000", STACK="/somewhere")
    with pytest.raises(ShopError, match="SHOP_URL names one shop"):
        targets.resolve()


def test_what_is_wrong_is_said_in_one_line(tell: Tell, capsys: pytest.CaptureFixture[str]) -> None:
    tell(URL="kong:8000")
    with pytest.raises(SystemExit) as refused:
        targets.resolve()
    assert refused.value.code == os.EX_CONFIG
    assert capsys.readouterr().err.startswith("SHOP_URL: ")


async def test_a_service_is_stopped_and_started_by_commands(tell: Tell, tmp_path: Path) -> None:
    note = tmp_path / "done"
    tell(
        STOP=f"sh -c 'echo stop $0 >> {note}' {{service}}",
        START=f"sh -c 'echo start $0 >> {note}' {{service}}",
    )
    target = RemoteTarget(remote_settings())
    await target.stop("payment")
    await target.start("payment")
    assert note.read_text() == "stop payment\nstart payment\n"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (None, "^SHOP_STOP is not set"),
        ("sh -c 'echo no such service; exit 3'", "exited with 3: no such service$"),
        ("/nowhere/docker stop {service}", "No such file"),
    ],
)
async def test_a_service_that_cannot_be_stopped_is_told_in_one_line(
    tell: Tell, command: str | None, said: str
) -> None:
    if command:
        tell(STOP=command)
    with pytest.raises(ShopError, match=said) as failed:
        await RemoteTarget(remote_settings()).stop("payment")
    assert "\n" not in str(failed.value)


async def test_a_command_that_does_not_end_is_ended(tell: Tell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "COMMAND_SECONDS", 0.05)
    tell(START="sleep 60")
    with pytest.raises(ShopError, match="did not end within"):
        await RemoteTarget(remote_settings()).start("payment")


def test_env_prints_what_another_shell_needs_as_it_reaches_the_shop(tell: Tell) -> None:
    tell(
        URL="http://kong:8000",
        AMQP_URL="amqp://operator@rabbitmq/",
        AMQP_PASSWORD="it's",
        ADMIN_PASSWORD="a b",
        STOP="stop {service}",
    )
    printed = CliRunner().invoke(
        app, ["env", "--url", "http://localhost:8000", "--amqp-url", "amqp://operator@localhost/"]
    )
    assert shlex.split(printed.stdout) == [
        *("export", "SHOP_URL=http://localhost:8000"),
        *("export", "SHOP_AMQP_URL=amqp://operator:it%27s@localhost/"),
        *("export", "SHOP_ADMIN_PASSWORD=a b"),
        *("export", "SHOP_NUDGE_DAYS=90"),
        *("export", "SHOP_STOP=stop {service}"),
    ]


@pytest.mark.parametrize("command", ["ledger check", "saga list", "audit list", "dead-letters list"])
def test_a_shop_that_does_not_answer_is_told_in_one_line(command: str) -> None:
    nowhere = "127.0.0.1:1"
    exported = " ".join(
        f"export SHOP_{name}={value};"
        for name, value in {
            "URL": f"http://{nowhere}",
            "SANDBOX_URL": f"http://{nowhere}",
            "MAILBOX_URL": f"http://{nowhere}",
            "STRIPE_API_BASE": f"http://{nowhere}",
            "STRIPE_API_KEY": "x",
            "MANAGEMENT_URL": f"http://{nowhere}",
            "AMQP_URL": f"amqp://operator:x@{nowhere}/",
            "DATABASE_URL": f"postgresql://operator:x@{nowhere}/postgres",
            "ADMIN_EMAIL": "admin@example.com",
            "ADMIN_PASSWORD": "x",
        }.items()
    )
    answered = _in_a_shell(f"{exported} {script('shop')} {command}")
    assert answered.returncode not in (0, 3)
    assert answered.stderr.startswith("shop: ")
    assert answered.stderr.count("\n") == 1


def test_the_shop_is_operated_by_what_it_tells(stack: Stack) -> None:
    """In a shell that knows nothing else: a scenario that stops a service, and the ledger."""
    shop = script("shop")
    exported = f'eval "$({shop} --stack {stack.folder} env)"'
    played = _in_a_shell(f"{exported}; {shop} scenario run product-down")
    assert played.returncode == 0, played.stdout + played.stderr
    checked = _in_a_shell(f"{exported}; {shop} ledger check")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    for command in ("saga list", "dead-letters list", "audit list"):
        answered = _in_a_shell(f"{exported}; {shop} {command}")
        assert answered.returncode in (0, 3), answered.stderr


def _in_a_shell(command: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": "/nonexistent"}
    return subprocess.run(
        ["bash", "-c", command],
        env=environment,
        cwd="/",
        text=True,
        capture_output=True,
        timeout=100,
        check=False,
    )
