"""`shop`: the operator's command line. Other packages add commands through entry points."""

import logging
import os
import sys
from importlib.metadata import EntryPoint, entry_points
from operator import attrgetter
from pathlib import Path
from typing import Annotated

import typer

from shop.audit import command as audit
from shop.broker import command as broker
from shop.dead_letters import command as dead_letters
from shop.env import env
from shop.errors import ShopError
from shop.generate import generate
from shop.keys import command as keys
from shop.ledger import command as ledger
from shop.mails import command as mails
from shop.provision import command as provision
from shop.sagas import command as saga

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
app.add_typer(audit.app, name="audit")
app.add_typer(broker.app, name="broker")
app.add_typer(keys.app, name="keys")
app.add_typer(provision.app, name="provision")
app.command()(env)
app.command()(generate)


def _add(found: EntryPoint) -> None:
    """Add a command, or a group of commands, of another installed package."""
    command = found.load()
    if isinstance(command, typer.Typer):
        app.add_typer(command, name=found.name)
    else:
        app.command(found.name)(command)


for _found in sorted(entry_points(group="shop.commands"), key=attrgetter("name")):
    _add(_found)


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
    logging.getLogger("aiormq").addHandler(
        logging.NullHandler()
    )  # an unavailable broker is reported once, by us
    try:
        app()
    except ShopError as error:
        sys.stderr.write(f"shop: {error}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
