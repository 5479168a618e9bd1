"""One project of Docker Compose with a name and ports of its own, and what its containers may really do."""

import json
import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shop.errors import ShopError

_SECONDS = 60
_LINES_OF_LOG = 15
Container = dict[str, Any]  # as `docker inspect` prints it
# Their entrypoints make the data folder the server's own before they become its user.
_START_AS_ROOT = {"postgres", "rabbitmq"}
_LOOPBACK = {"127.0.0.1", "::1"}


@dataclass(frozen=True)
class Project:
    """`COMPOSE_FILE` in our own environment decides about overrides, as for `docker compose` itself."""

    name: str
    root: Path
    chosen: Mapping[str, str]  # by the variable that the file reads: `SHOP_PORT` and so on

    def compose(self, *arguments: str, seconds: float = _SECONDS) -> str:
        """The output. Raises ShopError, with the last line of stderr, when it fails or takes too long."""
        return self._run("docker", "compose", "--ansi", "never", *arguments, seconds=seconds)

    def operator(self, *arguments: str) -> str:
        """The output of `deploy/compose/operator`."""
        return self._run(str(self.root / "deploy" / "compose" / "operator"), *arguments)

    def inside(self, container: Container, script: str) -> str:
        """The output of a shell script in a running container. Raises ShopError unless it exits with 0."""
        return self._run("docker", "exec", container["Id"], "bash", "-c", script)

    def containers(self) -> list[Container]:
        """All of the project's containers, also those that have exited."""
        ids = self.compose("ps", "--all", "--quiet").split()
        return json.loads(self._run("docker", "inspect", *ids)) if ids else []

    def remove_images(self) -> None:
        """Remove the images that were built for it; the layers stay in the engine's cache."""
        ours = self._run("docker", "images", "--quiet", "--filter", f"reference=*/*:{self.name}").split()
        if ours:
            self._run("docker", "rmi", "--force", *ours)

    def forget_ca(self) -> None:
        """Remove the copy of the shop's CA that `deploy/compose/operator` has made."""
        (self.root / ".local" / f"{self.name}-ca.pem").unlink(missing_ok=True)

    def tails(self) -> str:
        """The last log lines of every container that has failed or is not healthy."""
        failing = [container for container in self.containers() if not _is_healthy(container)]
        return "\n".join(self._tail(container) for container in failing)

    def environment(self) -> dict[str, str]:
        """This process's environment without another shop's SHOP_… settings, with this project's."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith("SHOP_")}
        return ours | dict(self.chosen) | {"COMPOSE_PROJECT_NAME": self.name, "SHOP_TAG": self.name}

    def _tail(self, container: Container) -> str:
        shown = subprocess.run(
            ["docker", "logs", "--tail", str(_LINES_OF_LOG), container["Id"]],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        return f"--- {service_of(container)}: {container['State']['Status']}\n{shown.stdout.rstrip()}"

    def _run(self, *command: str, seconds: float = _SECONDS) -> str:
        try:
            done = subprocess.run(
                command,
                cwd=self.root,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=seconds,
                check=False,
            )
        except FileNotFoundError:
            raise ShopError("docker is not installed, or not on the path") from None
        except subprocess.TimeoutExpired:
            raise ShopError(f"`{_shown(command)}` did not end within {seconds:g} s") from None
        if done.returncode:
            reason = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
            raise ShopError(f"`{_shown(command)}` ended with {done.returncode}: {reason[0].strip()}")
        return done.stdout


def service_of(container: Container) -> str:
    return str(container["Config"]["Labels"]["com.docker.compose.service"])


def hardening_faults(containers: Iterable[Container]) -> list[str]:
    """A line for each privilege too many and each missing limit, as the engine reports them."""
    return [f"{service_of(one)}: {fault}" for one in containers for fault in _faults(one)]


def _faults(container: Container) -> Iterator[str]:
    host, config = container["HostConfig"], container["Config"]
    if service_of(container) not in _START_AS_ROOT and config["User"].split(":")[0] in ("", "0", "root"):
        yield "runs as root"
    if not host["ReadonlyRootfs"]:
        yield "may write to its root file system"
    if host["CapDrop"] != ["ALL"]:
        yield "keeps capabilities"
    if host["CapAdd"] and service_of(container) not in _START_AS_ROOT:
        yield f"has {', '.join(host['CapAdd'])}"
    if "no-new-privileges:true" not in (host["SecurityOpt"] or []):
        yield "may gain privileges"
    if host["Privileged"]:
        yield "is privileged"
    if not (host["Memory"] and host["NanoCpus"] and host["PidsLimit"]):
        yield "is not limited"
    for port, bindings in (host["PortBindings"] or {}).items():
        for binding in bindings or []:
            if binding["HostIp"] not in _LOOPBACK:
                yield f"publishes {port} beyond this machine"


def _is_healthy(container: Container) -> bool:
    state = container["State"]
    if state["Status"] == "running":
        return bool(state.get("Health", {}).get("Status", "healthy") == "healthy")
    return (state["Status"], state["ExitCode"]) == ("exited", 0)


def _shown(command: tuple[str, ...]) -> str:
    return " ".join(word if len(word) < 60 else "…" for word in command)
