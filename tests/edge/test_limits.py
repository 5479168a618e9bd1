"""The table of limits in the README is what kong.yml says, and the strict ones are the strictest."""

from pathlib import Path
from typing import Any

import yaml

_FOLDER = Path(__file__).parents[2] / "deploy/kong"
_FILE = yaml.safe_load((_FOLDER / "kong.yml").read_text())


def _routes() -> dict[str, dict[str, dict[str, Any]]]:
    """What each route's plugins are set to: its own before its service's before everybody's."""
    return {
        route["name"]: {
            plugin["name"]: plugin["config"]
            for owner in (_FILE, service, route)
            for plugin in owner.get("plugins", [])
        }
        for service in _FILE["services"]
        for route in service["routes"]
    }


def _row(name: str, plugins: dict[str, dict[str, Any]]) -> str:
    size = plugins["request-size-limiting"]
    bytes_ = f"{size['allowed_payload_size']} {'KiB' if size['size_unit'] == 'kilobytes' else 'MiB'}"
    token = "yes" if "jwt" in plugins else "–"
    robots = "turned away" if "bot-detection" in plugins else "–"
    return f"| `{name}` | {plugins['rate-limiting']['minute']:,} | {bytes_} | {token} | {robots} |"


def test_the_readme_lists_the_limits_of_every_route() -> None:
    rows = [_row(name, plugins) for name, plugins in _routes().items()]
    documented = [line for line in (_FOLDER / "README.md").read_text().splitlines() if line.startswith("| `")]
    assert [line for line in documented if line.count("|") == 6] == rows


def test_sign_in_and_checkout_are_limited_more_strictly_than_reading() -> None:
    limits = {name: plugins["rate-limiting"]["minute"] for name, plugins in _routes().items()}
    strict = {"register", "token", "session", "guests", "mailed-token", "checkout", "order-lookup"}
    strict |= {"pages", "forms", "sign-in", "not-found"}  # each is several calls of the API, or a page
    assert max(limits[name] for name in strict) < min(limits[name] for name in limits.keys() - strict)


def test_every_limit_counts_by_address_in_redis_and_fails_closed() -> None:
    for plugins in _routes().values():
        limit = plugins["rate-limiting"]
        assert (limit["limit_by"], limit["policy"], limit["fault_tolerant"]) == ("ip", "redis", False)
