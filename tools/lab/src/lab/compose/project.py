"""One project of Docker Compose, beside any other: its own name, its own ports, gone when the check ends."""

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shop.errors import ShopError

_SECONDS = 60
_LINES_OF_LOG = 15
Container = dict[str, Any]  # as `docker inspect` tells it


@dataclass(frozen=True)
class Project:
    """`COMPOSE_FILE` in our own environment decides about overrides, as for `docker compose` itself."""

    name: str
    root: Path
    ports: Mapping[str, int]  # by the variable that the file reads, `SHOP_PORT` and so on

    def compose(self, *arguments: str, seconds: float = _SECONDS) -> str:
        """What it printed. Raises ShopError, with the last line of its complaint, when it fails or hangs."""
        return self._run("docker", "compose", "--ansi", "never", *arguments, seconds=seconds)

    def operator(self, *arguments: str) -> str:
        """What `deploy/compose/operator` prints."""
        return self._run(str(self.root / "deploy" / "compose" / "operator"), *arguments)

    def inside(self, container: Container, script: str, seconds: float = _SECONDS) -> str:
        """A shell's output in a running container. Raises ShopError unless it ends with 0."""
        return self._run("docker", "exec", container["Id"], "bash", "-c", script, seconds=seconds)

    def containers(self) -> list[Container]:
        """All of the project's, with those that have ended."""
        ids = self.compose("ps", "--all", "--quiet").split()
        return json.loads(self._run("docker", "inspect", *ids)) if ids else []

    def forget_images(self) -> None:
        """Those that were built for it; the layers stay in the engine's cache."""
        ours = self._run("docker", "images", "--quiet", "--filter", f"reference=*/*:{self.name}").split()
        if ours:
            self._run("docker", "rmi", "--force", *ours)

    def tails(self) -> str:
        """The ends of the logs of whatever is not as it should be."""
        ailing = [container for container in self.containers() if not _is_well(container)]
        return "\n".join(self._tail(container) for container in ailing)

    def environment(self) -> dict[str, str]:
        """Ours, without what it may say about another shop, and with what makes this project itself."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith("SHOP_")}
        ports = {name: str(port) for name, port in self.ports.items()}
        return ours | ports | {"COMPOSE_PROJECT_NAME": self.name, "SHOP_TAG": self.name}

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


def _is_well(container: Container) -> bool:
    state = container["State"]
    if state["Status"] == "exited":
        return bool(state["ExitCode"] == 0)
    return bool(
        state["Status"] == "running" and state.get("Health", {}).get("Status", "healthy") == "healthy"
    )


def _shown(command: tuple[str, ...]) -> str:
    return " ".join(word if len(word) < 60 else "…" for word in command)
