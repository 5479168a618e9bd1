"""The whole shop as a list of programs."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from devstack import environment, postgres, rabbitmq
from devstack.program import Program, http_answers, nothing_more
from devstack.stack import HOST, Stack, numbered, own_port
from shop.errors import ShopError
from shop.machine import project_root
from shop.provision import certificates
from shop.provision.kong import render_file
from shop.secrets import SIGNING_KEYS
from shop.targets import SERVICES


def programs(stack: Stack | None = None) -> list[Program]:
    """Everything there is to start in a stack; in one with one node and one copy if none is given."""
    nodes = stack.nodes if stack else [rabbitmq.FIRST]
    replicas = stack.replicas if stack else 1
    return [
        Program(
            "postgres",
            postgres.command,
            wave=0,
            stop_signal="INT",  # fast shutdown: clients are disconnected, nothing is lost
            stop_seconds=30,
            prepare=postgres.prepare,
            is_ready=postgres.is_ready,
            settle=postgres.settle,
        ),
        *_broker(nodes, is_formed=stack is not None and rabbitmq.is_formed(stack)),
        _module_program("sandbox", "standins.sandbox", wave=1),
        _module_program("mailbox", "standins.mailbox", "smtp", wave=1),
        *(
            _service(name, copy, nodes, port=own_port(copy) if replicas > 1 else name)
            for name in SERVICES
            for copy in numbered(name, replicas)
        ),
        _module_program("storefront", "storefront", wave=2),
        _module_program("warehouse", "standins.warehouse", wave=3),
        replace(_module_program("monitor", "shop.broker", ready="/readyz", wave=3), after=tuple(nodes)),
        replace(
            _module_program("gateway", "standins.gateway", "gateway-tls", ready=None, wave=3),
            prepare=render_gateway,
        ),
    ]


def choose(wanted: Iterable[str], everything: list[Program]) -> list[Program]:
    """Those named, in the list's order; all when none is. Raises ShopError for an unknown name."""
    names = list(wanted)
    known = [program.name for program in everything]
    for name in names:
        if name not in known:
            raise ShopError(f"no program {name}: choose one of {', '.join(known)}")
    return [program for program in everything if not names or program.name in names]


def script(name: str) -> str:
    """A console script of the project, from the environment that runs us."""
    return str(Path(sys.executable).with_name(name))


def render_gateway(stack: Stack) -> None:
    """`deploy/kong/kong.yml` with auth's public keys in it, and the gateway's certificate."""
    certificates.provide(stack.layout.secrets, "gateway", ["localhost", HOST, "::1"])
    settings = stack.settings.get("gateway", {})
    text = render_file(
        project_root() / "deploy" / "kong" / "kong.yml",
        stack.secret(SIGNING_KEYS),
        rate_factor=settings.get(environment.RATE_FACTOR, "1"),
        counters="local",
        cors_origins=settings.get(environment.CORS_ORIGINS),
    )
    stack.layout.kong.write_text(text)


def _broker(nodes: Sequence[str], *, is_formed: bool) -> Iterator[Program]:
    """Nodes join one after the other. A cluster that was up before starts at once: a node may have to wait
    for those that were stopped after it. The first is stopped last, and has nobody to wait for."""
    for before, node in zip([None, *nodes], nodes, strict=False):
        yield Program(
            node,
            lambda _: [str(rabbitmq.server_script())],
            partial(rabbitmq.environment, node=node),
            ports=tuple(rabbitmq.port_name(kind, node) for kind in ("amqp", "distribution", "management")),
            wave=0 if node == nodes[0] else 1,
            after=(before,) if before and not is_formed else (),
            stop_seconds=45,
            prepare=partial(rabbitmq.prepare, node=node),
            is_ready=partial(rabbitmq.is_ready, node=node),
            settle=rabbitmq.settle if node == nodes[-1] else nothing_more,
        )


def _service(name: str, copy: str, nodes: Sequence[str], port: str) -> Program:
    """`port` is where it alone answers: copies share the service's own."""
    return Program(
        copy,
        lambda _: [script("serve"), f"{name}.main"],
        lambda stack: environment.of(stack, copy),
        ports=(port,),
        after=("postgres", *nodes),
        is_ready=http_answers(port, "/readyz"),
    )


def _module_program(
    name: str, module: str, *more_ports: str, ready: str | None = "/healthz", wave: int
) -> Program:
    return Program(
        name,
        lambda _: [sys.executable, "-m", module],
        lambda stack: environment.of(stack, name),
        ports=(name, *more_ports),
        wave=wave,
        is_ready=http_answers(name, ready),
    )
