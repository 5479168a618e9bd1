"""The compose files as data, without Docker."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from shop.provision.secrets import hand_out

ROOT = Path(__file__).parents[2]


TLS = "deploy/compose.tls.yml"
_REPLACED = ("command", "entrypoint", "test")  # of other lists Compose takes both


class _Override(list[Any]):
    """A list that replaces the one of the file before."""


class _Loader(yaml.SafeLoader):
    """Reads what is tagged `!override`: a mapping as if it had no tag."""


def _overriding(loader: yaml.SafeLoader, node: yaml.Node) -> Any:
    if isinstance(node, yaml.SequenceNode):
        return _Override(loader.construct_sequence(node, deep=True))
    assert isinstance(node, yaml.MappingNode)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor("!override", _overriding)


def read(file: str) -> Any:
    return yaml.load((ROOT / file).read_text(), _Loader)


def merged(one: Any, other: Any, name: str = "") -> Any:
    """As Compose merges two files. Source: the Compose specification, "Merge and override"."""
    if isinstance(one, dict) and isinstance(other, dict):
        both = {key: merged(one[key], other[key], key) for key in one.keys() & other.keys()}
        return {**one, **other, **both}
    if isinstance(other, list) and not isinstance(other, _Override) and name not in _REPLACED:
        return [*one, *other]
    return other


@pytest.fixture(scope="session", params=["plain", "tls"])
def compose(request: pytest.FixtureRequest) -> Any:
    """The file by itself, and with the one for TLS: what the tests say holds for both."""
    base = read("docker-compose.yml")
    return merged(base, read(TLS)) if request.param == "tls" else base


@pytest.fixture(scope="session")
def services(compose: Any) -> Any:
    return compose["services"]


@pytest.fixture(scope="session")
def tls(services: Any) -> bool:
    return "--tls" in services["setup"]["command"]


@pytest.fixture(scope="session")
def handed(tls: bool, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each reader, as `setup` fills the volumes."""
    folder = tmp_path_factory.mktemp("secrets")
    hand_out(folder, ROOT / "deploy/kong/kong.yml", tls=tls)
    return folder
