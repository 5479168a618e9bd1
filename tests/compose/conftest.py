"""The compose files as data, without Docker."""

from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]


class _Override(yaml.SafeLoader):
    """Reads a value that is tagged `!override` as if it had no tag."""


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    return loader.construct_mapping(node, deep=True)


_Override.add_constructor("!override", _mapping)


def read(file: str) -> Any:
    return yaml.load((ROOT / file).read_text(), _Override)


@pytest.fixture(scope="session")
def compose() -> Any:
    return read("docker-compose.yml")


@pytest.fixture(scope="session")
def services(compose: Any) -> Any:
    return compose["services"]
