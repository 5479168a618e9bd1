"""`shop env`: what another process, here or elsewhere, has to be told to be this shop's operator."""

import shlex
from collections.abc import Iterator
from typing import Annotated

import typer
from pydantic import SecretStr

from shop.elsewhere import PREFIX, Told, told
from shop.stack import Stack
from shop.stack.programs import script
from shop.stack.supervisor import Supervisor
from shop.which import shop_at

Address = Annotated[str | None, typer.Option(help="As the reader reaches it, if not as we do.")]
Command = Annotated[str | None, typer.Option(help="With {service} for a service's name.")]
_IN_THE_URL = {"amqp_password", "database_password"}


def env(
    url: Address = None,
    sandbox_url: Address = None,
    mailbox_url: Address = None,
    management_url: Address = None,
    amqp_url: Address = None,
    database_url: Address = None,
    stop: Command = None,
    start: Command = None,
) -> None:
    """Print the shop's addresses and the operator's passwords for a shell: eval "$(shop env)"."""
    place = shop_at()
    given = _known(place) if isinstance(place, Stack) else {}
    changed = {
        "url": url,
        "sandbox_url": sandbox_url,
        "stripe_api_base": sandbox_url,
        "mailbox_url": mailbox_url,
        "management_url": management_url,
        "amqp_url": amqp_url,
        "database_url": database_url,
        "stop": stop,
        "start": start,
    }
    for name, value in _exports(told(**given | {name: value for name, value in changed.items() if value})):
        print(f"export {name}={shlex.quote(value)}")


def _known(stack: Stack) -> dict[str, str]:
    supervisor = f"unix://{Supervisor(stack).socket}"
    return {
        "url": stack.gateway_url,
        "sandbox_url": stack.sandbox_url,
        "stripe_api_base": stack.provider_url,
        "stripe_api_key": stack.provider_key,
        "mailbox_url": stack.mailbox_url,
        "management_url": stack.management_url,
        "amqp_url": stack.operator_amqp_url,
        "database_url": stack.operator_dsn(),
        "admin_email": stack.admin_email,
        "admin_password": stack.admin_password,
        "nudge_days": str(stack.nudge_days),
        "stop": shlex.join([script("supervisorctl"), "-s", supervisor, "stop", "{service}"]),
        "start": shlex.join([script("shop"), "--stack", str(stack.folder), "up", "--only", "{service}"]),
    }


def _exports(known: Told) -> Iterator[tuple[str, str]]:
    for name in Told.model_fields:
        value = getattr(known, name)
        if value is not None and name not in _IN_THE_URL:
            shown = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
            yield f"{PREFIX}{name.upper()}", shown
