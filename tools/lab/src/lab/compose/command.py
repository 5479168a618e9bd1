"""`shop compose check`: build and run the compose file beside whatever else runs, check it, take it down."""

import asyncio
import json
import os
import shlex
import signal
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import httpx
import typer
from rich.console import Console

from devstack import ports
from devstack.programs import script
from lab.compose.project import Container, Project, hardening_faults, service_of
from shop.errors import ShopError
from shop.http import Management
from shop.machine import project_root
from shop.terminal import Json, counting

app = typer.Typer(help="The shop in containers.", no_args_is_help=True)
_PORTS = (
    *("SHOP_PORT", "SHOP_TLS_PORT", "SHOP_SANDBOX_PORT", "SHOP_MAIL_PORT", "SHOP_AMQP_PORT"),
    "SHOP_MANAGEMENT_PORT",
)
UP_SECONDS = 900.0
_PLAY_SECONDS = 600.0
_STOP_SECONDS = 180.0
_TLS_SECONDS = 10
_COPIES = 3
_CONSUMING_SECONDS = 30
_KILLED = 137
_OURS = "saga-shop/"


@app.command()
def check(as_json: Json = False) -> None:
    """Start all of it under a name and ports of its own, check what the file promises, take it down.

    COMPOSE_FILE says which files, as for `docker compose`. Exits with 1 when a check fails.
    """
    base = ports.free_base()
    chosen = {name: str(base + number) for number, name in enumerate(_PORTS)}
    chosen["SHOP_PAGES_SUBNET"] = f"10.213.{os.getpid() % 256}.32/27"  # never that of a shop beside it
    project = Project(f"saga-shop-check-{os.getpid()}", project_root(), chosen)
    # The containers would outlive this process: SIGTERM, too, has them taken down first.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    checks = Checks(project)
    steps = list(checks.steps())
    passed: list[dict[str, str | float]] = []
    console = Console(quiet=as_json)
    try:
        with counting(console) as progress:
            bar = progress.add_task("compose", total=len(steps))
            for sentence, step in steps:
                progress.update(bar, description=sentence)
                began = time.monotonic()
                step()
                seconds = round(time.monotonic() - began, 1)
                passed.append({"holds": sentence, "seconds": seconds})
                console.print(f"[green]✓[/] {sentence} ({seconds} s)", highlight=False)
                progress.advance(bar)
    except ShopError as error:
        if tails := project.tails():
            Console(stderr=True).print(tails, markup=False, highlight=False)
        raise ShopError(f"check failed: {sentence}: {error}") from error
    finally:
        checks.down()
    if as_json:
        print(json.dumps(passed, indent=2))


@dataclass(frozen=True)
class Checks:
    """The steps in their sequence, each named by what it checks: a step needs those before it."""

    project: Project

    def steps(self) -> Iterator[tuple[str, Callable[[], None]]]:
        yield "everything is built, up and healthy", self._up
        yield "no container has more rights than it needs", self._check_hardening
        yield "Kong reaches neither the database nor the broker", self._check_networks
        yield "Kong serves TLS with a certificate of the shop's CA", self._check_tls
        yield "every scenario comes out as expected", lambda: self._play("--all")
        yield f"order-worker scales to {_COPIES}", self._scale
        yield "a scenario comes out as expected on all of them", lambda: self._play("paid")
        yield "every service's passwords are rotated", self._rotate_passwords
        yield "a scenario comes out as expected afterwards", lambda: self._play("paid")
        yield "every promise is kept", self._check_ledger
        yield "everything stops by itself when asked to", self._stop

    def down(self) -> None:
        every = ("--profile", "*")
        self.project.compose(*every, "down", "--volumes", "--remove-orphans", seconds=_STOP_SECONDS)
        self.project.remove_images()
        self.project.forget_ca()

    def _up(self) -> None:
        self.project.compose("up", "--build", "--wait", "--quiet-pull", seconds=UP_SECONDS)

    def _check_hardening(self) -> None:
        containers = self.project.containers()
        if found := hardening_faults(containers):
            raise ShopError("; ".join(found))
        # What the engine was configured to forbid is one thing, what a process can do there another.
        tried = (
            "test $(id -u) = 10001 && ! touch /app/x /etc/x /run/secrets/x 2>/dev/null"
            " && grep -q '^CapEff:[[:space:]]*0*$' /proc/1/status"
        )
        for container in _running(containers):
            if container["Config"]["Image"].startswith(_OURS):
                try:
                    self.project.inside(container, tried)
                except ShopError as error:
                    raise ShopError(f"{service_of(container)} may do more than it should") from error

    def _check_networks(self) -> None:
        containers = _running(self.project.containers())
        kong = next(one for one in containers if service_of(one) == "kong")
        if not self._connects(kong, "redis", 6379):
            raise ShopError("kong does not reach its own counters in redis, so this check proves nothing")
        for container in containers:
            ports = {"postgres": [5432], "rabbitmq": [5671, 5672, 15671, 15672]}.get(
                service_of(container), []
            )
            addresses = [end["IPAddress"] for end in container["NetworkSettings"]["Networks"].values()]
            for port in ports:
                for host in (service_of(container), *addresses):
                    if self._connects(kong, host, port):
                        raise ShopError(f"kong reaches {service_of(container)} at {host}:{port}")

    def _check_tls(self) -> None:
        show_ca = ("--entrypoint", "cat", "setup", "/secrets/vault/ca.pem")
        ca = self.project.compose("run", "--rm", "--no-deps", "-T", *show_ca)
        url = f"https://localhost:{self.project.chosen['SHOP_TLS_PORT']}/docs"
        try:
            answer = httpx.get(url, verify=ssl.create_default_context(cadata=ca), timeout=_TLS_SECONDS)
        except httpx.TransportError as error:
            raise ShopError(f"{url}: {error}") from error
        if not answer.is_success:
            raise ShopError(f"{url}: {answer.status_code}")

    def _connects(self, source: Container, host: str, port: int) -> bool:
        try:
            self.project.inside(source, f"timeout 3 bash -c 'exec 3<>/dev/tcp/{host}/{port}' 2>/dev/null")
        except ShopError:
            return False
        return True

    def _play(self, what: str) -> None:
        operator = self._operator_environment()
        done = subprocess.run(
            [script("shop"), "scenario", "run", what, "--url", operator["SHOP_URL"], "--json"],
            env=self.project.environment() | operator,
            capture_output=True,
            text=True,
            timeout=_PLAY_SECONDS,
            check=False,
        )
        if not done.stdout:
            raise ShopError(f"`shop scenario run {what}`: {done.stderr.strip()}")
        for report in json.loads(done.stdout):
            if not report["as_expected"]:
                raise ShopError(
                    f"{report['scenario']}: expected {report['expected']}, came out {report['outcome']}"
                    f" {report['claims']} {report['error'] or ''}"
                )

    def _operator_environment(self) -> dict[str, str]:
        """The shop's SHOP_… settings, with its addresses on this side of the published ports."""
        words = (shlex.split(line) for line in self.project.operator("env").splitlines())
        return dict(word[1].split("=", 1) for word in words if word[:1] == ["export"])

    def _scale(self) -> None:
        more = ("--scale", f"order-worker={_COPIES}")
        self.project.compose("up", "--wait", "--no-recreate", *more, seconds=UP_SECONDS)
        asyncio.run(_until_consuming(self._operator_environment()))

    def _rotate_passwords(self) -> None:
        """As docs/compose.md has it."""
        for job in (
            ("setup", "secrets", "begin", "--secrets", "/secrets/vault"),
            ("setup",),
            ("databases",),
            ("definitions",),
            ("setup", "secrets", "finish", "--secrets", "/secrets/vault"),
            ("setup",),
        ):
            self.project.compose("run", "--rm", "--no-deps", "-T", *job, seconds=_PLAY_SECONDS)

    def _check_ledger(self) -> None:
        run = ("run", "--rm", "--no-deps", "-T", "shop")
        self.project.compose(*run, "ledger", "check", seconds=_PLAY_SECONDS)

    def _stop(self) -> None:
        running = {container["Id"] for container in _running(self.project.containers())}
        self.project.compose("stop", seconds=_STOP_SECONDS)
        for container in self.project.containers():
            code, name = container["State"]["ExitCode"], service_of(container)
            ours = container["Config"]["Image"].startswith(_OURS)
            if container["Id"] in running and (code == _KILLED or (ours and code)):
                raise ShopError(f"{name} exited with {code}")


async def _until_consuming(operator: Mapping[str, str]) -> None:
    user, ca_file = httpx.URL(operator["SHOP_AMQP_URL"]), operator.get("SHOP_AMQP_CA_FILE")
    async with Management(
        operator["SHOP_MANAGEMENT_URL"], user.username, user.password, ca_file=ca_file
    ) as broker:
        for _ in range(_CONSUMING_SECONDS):
            consumers = await broker.get("consumers", "/")
            if sum(one["queue"]["name"] == "order" for one in consumers) == _COPIES:
                return
            await asyncio.sleep(1)
    raise ShopError(f"not all of {_COPIES} order-workers consume from `order`")


def _running(containers: list[Container]) -> list[Container]:
    return [container for container in containers if container["State"]["Running"]]
