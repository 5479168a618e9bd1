"""`shop demo`: play every scenario, draw one saga, and print where to look around."""

import asyncio
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Table

from devstack import Stack
from lab.scenario import play
from scenarios import SCENARIOS
from shop.diagram import diagram
from shop.sagas.command import fetch
from shop.targets import OPERATOR

DRAWN = "cancelled-after-paying"  # every service takes part in it, and all of it is undone


def demo() -> None:
    """Play every scenario, draw one saga and print the addresses. Exits with 1 unless all was as expected."""
    stack = Stack.load()
    console = Console()
    reports = play(list(SCENARIOS.values()), stack, console)
    console.print()
    [drawn] = [report for report in reports if report.scenario.name == DRAWN]
    if drawn.order_id is not None:
        order, events = asyncio.run(fetch(stack, UUID(drawn.order_id)))
        console.print(diagram(order, events))
        console.print(f"\nAgain at any time: shop saga show {order['number']}\n")
    console.print(_addresses(stack))
    expected = sum(report.as_expected for report in reports)
    console.print(f"\n{expected} of {len(reports)} scenarios came out as expected.")
    if expected < len(reports):
        raise typer.Exit(1)


def _addresses(stack: Stack) -> Table:
    management = (
        f"{stack.management_url} (user {OPERATOR}, password in {stack.secrets.path(f'rabbitmq-{OPERATOR}')})"
    )
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_row("[bold]shop", f"[bold]{stack.gateway_url}[/bold] (open it, and buy something as a guest)")
    table.add_row("[bold]API documentation", f"{stack.gateway_url}/docs")
    table.add_row("[bold]RabbitMQ management", management)
    table.add_row("[bold]mailbox", stack.mailbox_url)
    return table
