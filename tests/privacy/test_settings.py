"""Settings that are shown, in a log or a traceback, show no secret."""

import importlib
from pathlib import Path

import pytest

from chassis.runtime.settings import ServiceSettings
from devstack import Stack
from devstack.environment import of
from shop.targets import SERVICES

from .finding import found
from .planting import told_to_the_stack


@pytest.mark.parametrize("service", SERVICES)
def test_settings_show_no_secret(service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = Stack.create(tmp_path, 29000)
    environment = of(stack, service)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    secrets = told_to_the_stack(stack)
    files = [Path(value) for name, value in environment.items() if name.endswith("_PASSWORD_FILE")]
    given = f"{environment} {[file.read_text() for file in files]}"
    assert len(found(secrets, given)) >= 2, "it is given its passwords at least"

    settings: ServiceSettings = importlib.import_module(f"{service}.main").service.settings()
    for file in (settings.database_password_file, settings.amqp_password_file):
        assert file is not None
        file.note_refused(file.choose())

    assert found(secrets, f"{settings!r} {settings} {settings.__repr_args__()}") == set()
