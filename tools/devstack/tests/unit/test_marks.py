"""A test is marked by the servers that it starts, so that `-m` chooses by what a run needs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

Runs = tuple[dict[str, list[str]], dict[str, str]]

_TESTS = """
import pytest
from devstack import Stack, ports
from devstack.down import purge
from devstack.programs import choose, programs
from devstack.up import up

@pytest.fixture
def engine(postgres): ...

@pytest.fixture(scope="session")
def shopper(stack): ...

def test_plain(): ...
def test_postgres(postgres): ...
def test_engine(engine): ...
def test_migrated(migrated): ...
def test_broker(rabbitmq): ...
def test_shop(shopper): ...

def test_unmarked(tmp_path):
    stack = Stack.create(tmp_path, ports.free_base(), durable=False)
    try:
        up(stack, choose(["postgres"], programs()), programs(), lambda *_: None, 10)
    finally:
        purge(stack)
"""
_SETTINGS = """
[pytest]
markers =
    postgres: starts PostgreSQL
    broker: starts RabbitMQ
    shop: starts the whole shop
"""
_WITHOUT_SERVERS = "not postgres and not broker and not shop"
# Several runs in one process, for importing takes longer than running.
_RUNS = """
import json, sys, pytest

class Report:
    def __init__(self):
        self.outcomes = {}
    def pytest_runtest_logreport(self, report):
        if report.when == "call":
            self.outcomes[report.nodeid.partition("::test_")[2]] = str(report.longrepr or "passed")
    def pytest_collection_finish(self, session):
        self.chosen = sorted(item.name.removeprefix("test_") for item in session.items)

def run(*arguments):
    report = Report()
    pytest.main(["-p", "devstack.testing", "-p", "no:cacheprovider", "-q", *arguments], plugins=[report])
    return report

chosen = {mark: run("--collect-only", "-m", mark, "-k", "not unmarked").chosen for mark in sys.argv[2:]}
outcomes = run("-m", sys.argv[1]).outcomes
print("", json.dumps([chosen, outcomes]), sep="\\n")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("marks")
    (folder / "test_sample.py").write_text(_TESTS)
    (folder / "pytest.ini").write_text(_SETTINGS)
    return folder


@pytest.fixture(scope="module")
def runs(folder: Path) -> Runs:
    """The tests that each mark chooses, and the outcomes of the tests that need no server."""
    marks = ["postgres", "broker", "shop", _WITHOUT_SERVERS]
    done = subprocess.run(
        [sys.executable, "-c", _RUNS, _WITHOUT_SERVERS, *marks],
        cwd=folder,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        stdout=subprocess.PIPE,
        text=True,
        timeout=100,
        check=True,
    )
    chosen, outcomes = json.loads(done.stdout.splitlines()[-1])
    return chosen, outcomes


def test_a_mark_chooses_the_tests_whose_fixtures_start_that_server(
    runs: Runs,
) -> None:
    chosen, _ = runs

    assert chosen == {
        "postgres": ["engine", "migrated", "postgres"],
        "broker": ["broker"],
        "shop": ["shop"],
        _WITHOUT_SERVERS: ["plain"],
    }


def test_the_tests_without_a_mark_start_no_server(runs: Runs, folder: Path) -> None:
    _, outcomes = runs

    assert outcomes["plain"] == "passed"
    assert not (folder / ".local").exists(), "where a session's servers have their files"


def test_a_test_that_starts_a_server_without_its_mark_fails(
    runs: Runs,
) -> None:
    _, outcomes = runs

    assert outcomes.keys() == {"plain", "unmarked"}
    assert "test_unmarked starts postgres: mark it with @pytest.mark.postgres" in outcomes["unmarked"]
