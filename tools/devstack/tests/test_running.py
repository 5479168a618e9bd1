"""What the runner promises about processes, whatever they are."""

import os
import signal
import socket
import time
import urllib.request
from collections.abc import Callable
from dataclasses import replace

import psutil
import pytest

from devstack import Stack
from devstack.ended import still_running
from devstack.status import status
from devstack.supervisor import Supervisor
from shop.errors import ShopError

from .conftest import Town

_PATIENCE_SECONDS = 15


def _until(met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not met():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def _says(town: Town, name: str) -> str:
    with urllib.request.urlopen(town.stack.http(name), timeout=5) as answer:
        return str(answer.read(), "utf-8")


def _pid(town: Town, name: str) -> int:
    return int(town.supervisor.info()[name]["pid"])


def _is_running(pid: int) -> bool:
    return bool(still_running([psutil.Process(pid)], 0)) if psutil.pid_exists(pid) else False


def test_up_returns_when_everything_answers(town: Town) -> None:
    town.add("order")
    town.add("payment")

    started = town.up()

    assert {one.name for one in started} == {"order", "payment"}
    assert [one.ready for one in status(town.stack, town.programs)] == [True, True]


def test_a_program_starts_only_after_those_it_needs(town: Town) -> None:
    town.add("gateway", after=("order",))
    town.add("order")

    town.up()

    assert town.diary_lines() == ["started order", "started gateway"]


def test_up_twice_starts_nothing_twice(town: Town) -> None:
    town.add("order")
    town.up()

    again = town.up()

    assert again[0].already_running
    assert town.diary_lines() == ["started order"]


def test_up_starts_what_is_down_and_leaves_the_rest_alone(town: Town) -> None:
    order = town.add("order")
    town.add("payment")
    town.up([order])

    started = {one.name: one.already_running for one in town.up()}

    assert started == {"order": True, "payment": False}


def test_a_program_that_dies_is_started_again(town: Town) -> None:
    town.add("order")
    town.up()
    killed = _pid(town, "order")

    town.supervisor.signal("order", "KILL")

    _until(lambda: town.diary_lines() == ["started order"] * 2)
    assert _pid(town, "order") != killed


def test_the_gateway_stops_before_the_services_and_they_before_the_rest(town: Town) -> None:
    town.add("sandbox", wave=0)
    town.add("order", wave=2)
    town.add("gateway", wave=3)
    town.up()

    town.down()

    assert town.diary_lines()[3:] == ["stopped gateway", "stopped order", "stopped sandbox"]


def test_down_leaves_no_process_behind(town: Town) -> None:
    town.add("order")
    town.up()
    pids = [town.supervisor.pid(), _pid(town, "order")]

    assert town.down() == ["order"]

    assert not [pid for pid in pids if _is_running(pid)]
    assert town.down() == []


def test_down_ends_what_a_killed_supervisor_left_running(town: Town) -> None:
    town.add("order")
    town.up()
    orphan = _pid(town, "order")
    os.kill(town.supervisor.pid(), signal.SIGKILL)

    town.down()

    assert not _is_running(orphan)
    assert town.diary_lines()[-1] == "stopped order"


def test_up_after_a_crash_replaces_the_orphans_and_the_stale_socket(town: Town) -> None:
    town.add("order")
    town.up()
    os.kill(town.supervisor.pid(), signal.SIGKILL)

    town.up()

    assert town.diary_lines() == ["started order", "stopped order", "started order"]
    assert _says(town, "order") == ""


def test_a_stack_of_another_folder_is_left_alone(town: Town, make_stack: Callable[..., Stack]) -> None:
    town.add("order")
    town.up()
    other = replace(town, stack=make_stack("other"))
    other.up()
    os.kill(town.supervisor.pid(), signal.SIGKILL)

    town.down()

    assert Supervisor(other.stack).running() == {"order"}
    other.down()


def test_a_taken_port_is_named_with_its_holder_before_anything_starts(town: Town) -> None:
    town.add("order")
    port = town.stack.ports["order"]

    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(ShopError, match=rf"port {port} \(order\) .*pid {os.getpid()}"),
    ):
        town.up()

    assert not town.supervisor.is_alive()


def test_a_program_that_does_not_stay_up_is_reported_with_the_end_of_its_log(town: Town) -> None:
    town.add_broken("order", "raise SystemExit('DATABASE_URL is not set')")

    with pytest.raises(ShopError, match=r"order exits repeatedly(?s:.*)DATABASE_URL is not set"):
        town.up()


def test_a_program_that_never_becomes_ready_is_reported_in_time(town: Town) -> None:
    town.add_broken("order", "import time; print('still thinking', flush=True); time.sleep(60)")

    with pytest.raises(ShopError, match=r"order was not ready after 1 s(?s:.*)still thinking"):
        town.up(timeout=1)


def test_a_changed_setting_reaches_a_running_program(town: Town) -> None:
    town.add("order")
    town.up()
    town.stack = replace(town.stack, settings={"order": {"GREETING": "100% new, and it's quoted"}})

    town.up()

    assert _says(town, "order") == "100% new, and it's quoted"


def test_nothing_of_the_operators_shell_reaches_a_program(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GREETING", "sk_live_by_accident")
    town.add("order")

    town.up()

    assert _says(town, "order") == ""
