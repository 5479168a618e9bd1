"""A pytest plugin for the released tests: those that use a service's schema, run by the released code."""

import importlib
from pathlib import Path

import pytest

PACKAGES = ("auth", "cart", "chassis", "contracts", "notification", "order", "payment", "product", "shop")

# Compares the tables that its code knows with all that there are: more is what expanding means.
NO_MORE = "test_the_tables_are_as_the_migrations_made_them"


def pytest_configure(config: pytest.Config) -> None:
    for name in PACKAGES:
        file = importlib.import_module(name).__file__
        if file is None or not Path(file).is_relative_to(config.rootpath):
            raise pytest.UsageError(f"{name} is {file}, not the release's")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    uses_schema = [item for item in items if "migrated" in getattr(item, "fixturenames", ())]
    wanted = [item for item in uses_schema if item.name != NO_MORE]
    config.hook.pytest_deselected(items=[item for item in items if item not in wanted])
    items[:] = wanted
