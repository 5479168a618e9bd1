"""`shop`: the operator's command line. Other packages add commands through entry points."""

import logging
import os
import shlex
import sys
from importlib.metadata import entry_points
from operator import attrgetter
from pathlib import Path
from typing import Annotated

import typer

from shop import documents, targets
from shop.audit import command as audit
from shop.broker import command as broker
from shop.catalogue import command as catalogue
from shop.dead_letters import command as dead_letters
from shop.errors import ShopError
from shop.keys import command as keys
from shop.ledger import command as ledger
from shop.machine import project_root
from shop.mails import command as mails
from shop.passwords import command as passwords
from shop.provision import command as provision
from shop.remote import PREFIX, RemoteSettings, RemoteTarget, remote_settings
from shop.sagas import command as saga
from shop.services import PARTICIPANTS

app = typer.Typer(
    help="Run the shop on this machine, replay checkouts, inspect sagas.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(saga.app, name="saga")
app.add_typer(ledger.app, name="ledger")
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(mails.app, name="mails")
app.add_typer(catalogue.app, name="catalogue")
app.add_typer(audit.app, name="audit")
app.add_typer(broker.app, name="broker")
app.add_typer(keys.app, name="keys")
app.add_typer(passwords.app, name="secrets")
app.add_typer(provision.app, name="provision")


@app.command()
def generate(
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail if a document is out of date.")
    ] = False,
) -> None:
    """Regenerate schemas, AsyncAPI, SAGA.md and the broker's definitions from the code."""
    root = project_root()
    if not check:
        for name in documents.write(root, PARTICIPANTS):
            print(f"wrote {name}")
        return
    if found := [*documents.stale(root, PARTICIPANTS), *documents.incompatible(root)]:
        raise ShopError("out of date, run `shop generate`: " + ", ".join(found))


Address = Annotated[str | None, typer.Option(help="As the reader reaches it, if not as we do.")]
Command = Annotated[str | None, typer.Option(help="With {service} for a service's name.")]
_IN_THE_URL = {"amqp_password", "database_password"}


@app.command()
def env(
    url: Address = None,
    tls_url: Address = None,
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
        "tls_url": tls_url,
        "sandbox_url": sandbox_url,
        "stripe_api_base": sandbox_url,
        "mailbox_url": mailbox_url,
        "management_url": management_url,
        "amqp_url": amqp_url,
        "database_url": database_url,
        "stop": stop,
        "start": start,
    }
    known = RemoteTarget(remote_settings(**given | {name: value for name, value in changed.items() if value}))
    for name in RemoteSettings.model_fields:
        if getattr(known.settings, name) is not None and name not in _IN_THE_URL:
            print(f"export {PREFIX}{name.upper()}={shlex.quote(known.need(name))}")


for _found in sorted(entry_points(group="shop.commands"), key=attrgetter("name")):
    _command = _found.load()
    if isinstance(_command, typer.Typer):
        app.add_typer(_command, name=_found.name)
    else:
        app.command(_found.name)(_command)


@app.callback()
def choose_stack(
    folder: Annotated[
        Path | None,
        typer.Option("--stack", envvar="SHOP_STACK", help="The stack's folder [.local/stack]."),
    ] = None,
) -> None:
    if folder:
        os.environ["SHOP_STACK"] = str(folder.resolve())


def main() -> None:
    """Exits with the command's own code; a ShopError is printed in one line, without a traceback."""
    logging.getLogger("aiormq").addHandler(logging.NullHandler())  # we report an unavailable broker, once
    try:
        app()
    except ShopError as error:
        sys.stderr.write(f"shop: {error}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
