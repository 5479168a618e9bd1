from pathlib import Path

import pytest

from shop.passwords import rotation
from shop.secrets import Secrets


@pytest.fixture
def vault(tmp_path: Path) -> Secrets:
    """Every password of the services, each with one line."""
    vault = Secrets(tmp_path)
    for name in rotation.names([]):
        vault.path(name)
    return vault
