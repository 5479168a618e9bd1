"""`shop`: what the operator does with the shop. Each file in `commands` brings its own."""

import logging
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from shop.commands import (
    audit,
    broker,
    compose,
    dead_letters,
    keys,
    ledger,
    mails,
    provision,
    saga,
    scenario,
    stack,
)
from shop.commands.bench import bench
from shop.commands.chaos import chaos
from shop.commands.demo import demo
from shop.commands.env import env
from shop.commands.generate import generate
from shop.commands.replay import replay
from shop.errors import ShopError

app = typer.Typer(
    help="Run the shop on this machine, replay checkouts, look into sagas.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(stack.app)
app.add_typer(scenario.app, name="scenario")
app.add_typer(saga.app, name="saga")
app.add_typer(ledger.app, name="ledger")
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(mails.app, name="mails")
app.add_typer(audit.app, name="audit")
app.add_typer(broker.app, name="broker")
app.add_typer(keys.app, name="keys")
app.add_typer(provision.app, name="provision")
app.add_typer(compose.app, name="compose")
app.command()(bench)
app.command()(chaos)
app.command()(demo)
app.command()(env)
app.command()(generate)
app.command()(replay)


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
    """Exits with the command's own code; a ShopError is told in its own words, not with a traceback."""
    logging.getLogger("aiormq").addHandler(logging.NullHandler())  # a broker that is away is told once, by us
    try:
        app()
    except ShopError as error:
        sys.stderr.write(f"shop: {error}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
