"""`shop env`: the variables with which another process, on any machine, can operate this shop."""

import shlex
from collections.abc import Iterator
from typing import Annotated

import typer
from pydantic import SecretStr

from shop import targets
from shop.remote import PREFIX, RemoteSettings, RemoteTarget, remote_settings

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
    target = targets.resolve()
    given = {} if isinstance(target, RemoteTarget) else target.exported()
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
    for name, value in _exports(
        remote_settings(**given | {name: value for name, value in changed.items() if value})
    ):
        print(f"export {name}={shlex.quote(value)}")


def _exports(known: RemoteSettings) -> Iterator[tuple[str, str]]:
    for name in RemoteSettings.model_fields:
        value = getattr(known, name)
        if value is not None and name not in _IN_THE_URL:
            shown = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
            yield f"{PREFIX}{name.upper()}", shown
