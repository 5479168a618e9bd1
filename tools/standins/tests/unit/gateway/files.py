"""The shop's own kong.yml and a smallest one, to change in one place at a time."""

from pathlib import Path
from typing import Any

import yaml

SHOP = (Path(__file__).parents[5] / "deploy/kong/kong.yml").read_text()


def smallest() -> dict[str, Any]:
    """A configuration with one route and nothing more than it needs."""
    return {
        "_format_version": "3.0",
        "services": [
            {
                "name": "shop",
                "url": "http://shop:8000",
                "retries": 1,
                "connect_timeout": 1000,
                "read_timeout": 1000,
                "write_timeout": 1000,
                "routes": [{"name": "all", "protocols": ["http"], "paths": ["/"], "strip_path": False}],
            }
        ],
    }


def plugin(name: str) -> dict[str, Any]:
    """The shop's own settings of a plugin, wherever they stand."""
    document = yaml.safe_load(SHOP)
    routes = [route for service in document["services"] for route in service["routes"]]
    owners = (document, *document["services"], *routes)
    found = next(one for owner in owners for one in owner.get("plugins", []) if one["name"] == name)
    return dict(found)


def changed(document: dict[str, Any], path: str, value: Any) -> str:
    """The document as text with the value at a dotted path replaced or added."""
    *steps, last = path.split(".")
    place: Any = document
    for step in steps:
        place = place[int(step)] if step.isdigit() else place.setdefault(step, {})
    place[int(last) if last.isdigit() else last] = value
    return yaml.safe_dump(document)
