"""What `up` and `down` promise about processes, whatever they run."""

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
from devstack.status import status
from devstack.supervisor import Supervisor
from shop.errors import ShopError

from ..conftest import SmallStack

_TIMEOUT_SECONDS = 15


def _until(met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while not met():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def _body(small: SmallStack, name: str) -> str:
    with urllib.request.urlopen(small.stack.http(name), timeout=5) as answer:
        return str(answer.read(), "utf-8")


def _pid(small: SmallStack, name: str) -> int:
    return int(small.supervisor.info()[name]["pid"])


def _is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_up_returns_when_everything_is_ready(small: SmallStack) -> None:
    small.add("order")
    small.add("payment")

    started = small.up()

    assert {one.name for one in started} == {"order", "payment"}
    assert [one.ready for one in status(small.stack, small.programs)] == [True, True]


def test_a_program_starts_after_those_it_needs(small: SmallStack) -> None:
    small.add("gateway", after=("order",))
    small.add("order")

    small.up()

    assert small.recorded() == ["started order", "started gateway"]


def test_up_twice_starts_nothing_twice(small: SmallStack) -> None:
    small.add("order")
    small.up()

    again = small.up()

    assert again[0].already_running
    assert small.recorded() == ["started order"]


def test_up_starts_what_is_down_and_keeps_what_runs(small: SmallStack) -> None:
    order = small.add("order")
    small.add("payment")
    small.up([order])

    started = {one.name: one.already_running for one in small.up()}

    assert started == {"order": True, "payment": False}


def test_a_program_that_dies_is_started_again(small: SmallStack) -> None:
    small.add("order")
    small.up()
    killed = _pid(small, "order")

    small.supervisor.signal("order", "KILL")

    _until(lambda: small.recorded() == ["started order"] * 2)
    assert _pid(small, "order") != killed


def test_the_gateway_stops_before_the_services_and_they_before_the_rest(small: SmallStack) -> None:
    small.add("sandbox", wave=0)
    small.add("order", wave=2)
    small.add("gateway", wave=3)
    small.up()

    small.down()

    assert small.recorded()[3:] == ["stopped gateway", "stopped order", "stopped sandbox"]


def test_down_leaves_no_process_behind(small: SmallStack) -> None:
    small.add("order")
    small.up()
    pids = [small.supervisor.pid(), _pid(small, "order")]

    assert small.down() == ["order"]

    assert not [pid for pid in pids if _is_running(pid)]
    assert small.down() == []


def test_down_stops_what_a_killed_supervisor_left_running(small: SmallStack) -> None:
    small.add("order")
    small.up()
    orphan = _pid(small, "order")
    os.kill(small.supervisor.pid(), signal.SIGKILL)

    small.down()

    assert not _is_running(orphan)
    assert small.recorded()[-1] == "stopped order"


def test_up_after_a_crash_replaces_the_orphans_and_the_stale_socket(small: SmallStack) -> None:
    small.add("order")
    small.up()
    os.kill(small.supervisor.pid(), signal.SIGKILL)

    small.up()

    assert small.recorded() == ["started order", "stopped order", "started order"]
    assert _body(small, "order") == ""


def test_down_does_not_touch_the_stack_of_another_folder(
    small: SmallStack, make_stack: Callable[[str], Stack]
) -> None:
    small.add("order")
    small.up()
    other = replace(small, stack=make_stack("other"))
    other.up()
    os.kill(small.supervisor.pid(), signal.SIGKILL)

    small.down()

    assert Supervisor(other.stack).running() == {"order"}
    other.down()


def test_a_taken_port_is_named_with_its_holder_before_anything_starts(small: SmallStack) -> None:
    small.add("order")
    port = small.stack.ports["order"]

    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(ShopError, match=rf"port {port} \(order\) .*pid {os.getpid()}"),
    ):
        small.up()

    assert not small.supervisor.is_alive()


def test_a_program_that_does_not_stay_up_is_reported_with_the_end_of_its_log(small: SmallStack) -> None:
    small.add_broken("order", "raise SystemExit('DATABASE_URL is not set')")

    with pytest.raises(ShopError, match=r"order exits repeatedly(?s:.*)DATABASE_URL is not set"):
        small.up()


def test_a_program_that_never_becomes_ready_is_reported_in_time(small: SmallStack) -> None:
    small.add_broken("order", "import time; print('still thinking', flush=True); time.sleep(60)")

    with pytest.raises(ShopError, match=r"order was not ready after 1 s(?s:.*)still thinking"):
        small.up(timeout=1)


def test_a_changed_setting_reaches_a_running_program(small: SmallStack) -> None:
    small.add("order")
    small.up()
    small.stack = replace(small.stack, settings={"order": {"GREETING": "100% new, and it's quoted"}})

    small.up()

    assert _body(small, "order") == "100% new, and it's quoted"


def test_nothing_of_the_operators_shell_reaches_a_program(
    small: SmallStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GREETING", "sk_live_by_accident")
    small.add("order")

    small.up()

    assert _body(small, "order") == ""
