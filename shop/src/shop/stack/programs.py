"""The whole shop as a list of programs."""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from shop.errors import ShopError
from shop.stack import environment, gateway, migrations, postgres, rabbitmq
from shop.stack.probe import http_answers
from shop.stack.program import Program
from shop.stack.stack import SERVICES, Stack


def programs() -> list[Program]:
    """Everything there is to start here."""
    return [
        Program(
            "postgres",
            postgres.command,
            wave=0,
            stop_signal="INT",  # fast shutdown: clients are disconnected, nothing is lost
            stop_seconds=30,
            prepare=postgres.prepare,
            is_ready=postgres.is_ready,
            settle=migrations.settle,
        ),
        Program(
            "rabbitmq",
            lambda _: [str(rabbitmq.server_script())],
            rabbitmq.environment,
            ports=("amqp", "distribution", "management"),
            wave=0,
            stop_seconds=45,
            prepare=rabbitmq.prepare,
            is_ready=rabbitmq.is_ready,
            settle=rabbitmq.settle,
        ),
        _module_program("sandbox", "standins.sandbox", wave=1),
        _module_program("mailbox", "standins.mailbox", "smtp", wave=1),
        *(_service(name) for name in SERVICES),
        _module_program("storefront", "storefront", wave=2),
        Program(
            "gateway",
            _module("standins.gateway"),
            lambda stack: environment.of(stack, "gateway"),
            ports=("gateway",),
            wave=3,
            prepare=gateway.prepare,
            is_ready=http_answers("gateway", None),
        ),
    ]


def choose(wanted: Iterable[str], everything: list[Program]) -> list[Program]:
    """Those named, in the list's order; all when none is. Raises ShopError for an unknown name."""
    names = list(wanted)
    known = [program.name for program in everything]
    for name in names:
        if name not in known:
            raise ShopError(f"there is no program {name}: choose from {', '.join(known)}")
    return [program for program in everything if not names or program.name in names]


def script(name: str) -> str:
    """A console script of the project, from the environment that runs us."""
    return str(Path(sys.executable).with_name(name))


def _service(name: str) -> Program:
    return Program(
        name,
        lambda _: [script("serve"), f"{name}.main"],
        lambda stack: environment.of(stack, name),
        ports=(name,),
        after=("postgres", "rabbitmq"),
        is_ready=http_answers(name, "/readyz"),
    )


def _module_program(name: str, module: str, *more_ports: str, wave: int) -> Program:
    return Program(
        name,
        _module(module),
        lambda stack: environment.of(stack, name),
        ports=(name, *more_ports),
        wave=wave,
        is_ready=http_answers(name, "/healthz"),
    )


def _module(name: str) -> Callable[[Stack], list[str]]:
    return lambda _: [sys.executable, "-m", name]
