"""`shop up`, `down`, `status` and `logs`: one line on stderr and an exit code, or JSON."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from devstack.programs import script


def _shop(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SHOP_STACK": str(folder)}
    return subprocess.run(
        [script("shop"), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_status_without_a_stack_names_the_command_that_starts_one(tmp_path: Path) -> None:
    answer = _shop(tmp_path / "none", "status")

    assert answer.returncode == 1
    assert answer.stderr == f"shop: no stack in {tmp_path}/none: start one with `shop up`\n"


def test_an_unknown_program_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    answer = _shop(tmp_path / "none", "up", "--only", "oder")

    assert answer.returncode == 1
    assert answer.stderr.startswith("shop: no program oder: choose one of postgres, rabbitmq, ")


def test_a_setting_without_a_program_is_refused(tmp_path: Path) -> None:
    answer = _shop(tmp_path / "none", "up", "--set", "ORDER_DEADLINE=5")

    assert "write PROGRAM.VARIABLE=VALUE" in answer.stderr


def test_down_succeeds_where_nothing_runs(tmp_path: Path) -> None:
    answer = _shop(tmp_path / "none", "down")

    assert (answer.returncode, answer.stdout) == (0, "nothing was running\n")


@pytest.mark.postgres  # started by the command
def test_up_status_logs_and_down_of_one_program(tmp_path: Path) -> None:
    stack = tmp_path / "stack"
    try:
        up = _shop(stack, "up", "--only", "postgres", "--free-ports", "--json")
        status = _shop(stack, "status", "--json")
        logs = _shop(stack, "logs", "postgres")
    finally:
        down = _shop(stack, "down", "--purge", "--json")

    assert [one["name"] for one in json.loads(up.stdout)["programs"]] == ["postgres"], up.stderr
    assert {one["name"]: one["ready"] for one in json.loads(status.stdout)}["postgres"]
    assert status.returncode == 3, "the rest of the shop is down"
    assert "database system is ready to accept connections" in logs.stdout
    assert json.loads(down.stdout) == {"stopped": ["postgres"]}
    assert not stack.exists()
