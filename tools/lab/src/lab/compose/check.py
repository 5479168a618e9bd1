"""What is asked of the running project, one sentence each; the first that does not hold ends the check."""

import asyncio
import json
import shlex
import subprocess
from collections.abc import Callable, Iterator, Mapping

import httpx

from devstack.programs import script
from lab.compose import hardening
from lab.compose.project import Container, Project, service_of
from shop.errors import ShopError
from shop.management import Management

UP_SECONDS = 900.0
_PLAY_SECONDS = 600.0
_STOP_SECONDS = 180.0
_COPIES = 3
_CONSUMING_SECONDS = 30
_KILLED = 137
_OURS = "saga-shop/"
_SHOP = ("run", "--rm", "--no-deps", "-T", "shop")


class Check:
    """Steps in their order: each stands on those before it."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def steps(self) -> Iterator[tuple[str, Callable[[], None]]]:
        yield "everything is built, up and healthy", self._up
        yield "no container may more than it needs", self._is_hard
        yield "Kong reaches neither the database nor the broker", self._is_apart
        yield "every scenario comes out as expected", lambda: self._play("--all")
        yield f"order-worker scales to {_COPIES}", self._scale
        yield "a scenario comes out as expected on all of them", lambda: self._play("paid")
        yield "every promise is kept", self._audit
        yield "everything stops by itself when told", self._stop

    def down(self) -> None:
        self._project.compose(
            "--profile", "*", "down", "--volumes", "--remove-orphans", seconds=_STOP_SECONDS
        )
        self._project.forget_images()

    def _up(self) -> None:
        self._project.compose("up", "--build", "--wait", "--quiet-pull", seconds=UP_SECONDS)

    def _is_hard(self) -> None:
        containers = self._project.containers()
        if found := hardening.faults(containers):
            raise ShopError("; ".join(found))
        for container in self._running(containers):
            if container["Config"]["Image"].startswith(_OURS):
                self._try_as(container)

    def _try_as(self, container: Container) -> None:
        """What the engine was told is one thing, what a process can do there another."""
        tried = "test $(id -u) = 10001 && ! touch /app/x /etc/x /run/secrets/x 2>/dev/null"
        try:
            self._project.inside(container, f"{tried} && grep -q '^CapEff:[[:space:]]*0*$' /proc/1/status")
        except ShopError as error:
            raise ShopError(f"{service_of(container)} may do more than it should") from error

    def _is_apart(self) -> None:
        containers = self._running(self._project.containers())
        kong = next(one for one in containers if service_of(one) == "kong")
        if not self._connects(kong, "redis", 6379):
            raise ShopError(
                "kong does not even reach its counters: that it reaches nothing else says nothing"
            )
        for container in containers:
            ports = {"postgres": [5432], "rabbitmq": [5672, 15672]}.get(service_of(container), [])
            addresses = [end["IPAddress"] for end in container["NetworkSettings"]["Networks"].values()]
            for port in ports:
                for host in (service_of(container), *addresses):
                    if self._connects(kong, host, port):
                        raise ShopError(f"kong reaches {service_of(container)} at {host}:{port}")

    def _connects(self, source: Container, host: str, port: int) -> bool:
        try:
            self._project.inside(source, f"timeout 3 bash -c 'exec 3<>/dev/tcp/{host}/{port}' 2>/dev/null")
        except ShopError:
            return False
        return True

    def _play(self, what: str) -> None:
        operator = self._operator()
        done = subprocess.run(
            [script("shop"), "scenario", "run", what, "--url", operator["SHOP_URL"], "--json"],
            env=self._project.environment() | operator,
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

    def _operator(self) -> dict[str, str]:
        """What the shop says of itself, with its addresses on this side of the published ports."""
        words = (shlex.split(line) for line in self._project.operator("env").splitlines())
        return dict(word[1].split("=", 1) for word in words if word[:1] == ["export"])

    def _scale(self) -> None:
        self._project.compose(
            *("up", "--wait", "--no-recreate", "--scale", f"order-worker={_COPIES}"), seconds=UP_SECONDS
        )
        asyncio.run(self._until_consuming(self._operator()))

    async def _until_consuming(self, operator: Mapping[str, str]) -> None:
        user = httpx.URL(operator["SHOP_AMQP_URL"])
        async with Management(operator["SHOP_MANAGEMENT_URL"], user.username, user.password) as broker:
            for _ in range(_CONSUMING_SECONDS):
                consumers = [
                    one for one in await broker.get("consumers", "/") if one["queue"]["name"] == "order"
                ]
                if len(consumers) == _COPIES:
                    return
                await asyncio.sleep(1)
        raise ShopError(f"not all of {_COPIES} order-workers consume from `order`")

    def _audit(self) -> None:
        self._project.compose(
            "run", "--rm", "--no-deps", "-T", "shop", "ledger", "check", seconds=_PLAY_SECONDS
        )

    def _stop(self) -> None:
        running = {container["Id"] for container in self._running(self._project.containers())}
        self._project.compose("stop", seconds=_STOP_SECONDS)
        for container in self._project.containers():
            code, name = container["State"]["ExitCode"], service_of(container)
            ours = container["Config"]["Image"].startswith(_OURS)
            if container["Id"] in running and (code == _KILLED or (ours and code)):
                raise ShopError(f"{name} ended with {code}")

    def _running(self, containers: list[Container]) -> list[Container]:
        return [container for container in containers if container["State"]["Running"]]
