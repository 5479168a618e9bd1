"""The compose file's health checks, start order, restarts, limits and time to stop."""

from typing import Any

from chassis.runtime.settings import ServiceSettings
from shop.targets import SERVICES

ENDED = "service_completed_successfully"


def jobs(services: Any) -> set[str]:
    """What runs to its end, because somebody waits for that or calls it by hand."""
    awaited = {
        name
        for service in services.values()
        for name, how in service.get("depends_on", {}).items()
        if how["condition"] == ENDED
    }
    return awaited | {name for name, service in services.items() if "profiles" in service}


def seconds(text: str) -> int:
    assert text.endswith("s")
    return int(text[:-1])


def test_every_lasting_container_has_a_health_check(services: Any) -> None:
    without = {name for name, service in services.items() if "healthcheck" not in service}
    assert without == jobs(services)


def test_every_lasting_container_is_restarted(services: Any) -> None:
    returning = {name for name, service in services.items() if service["restart"] == "unless-stopped"}
    assert returning == set(services) - jobs(services)


def test_a_compose_job_is_not_restarted_for_ever(services: Any) -> None:
    assert {services[name]["restart"] for name in jobs(services)} == {"on-failure:3", "no"}


def test_every_container_has_limits_of_memory_cpu_and_processes(services: Any) -> None:
    for service in services.values():
        assert {"mem_limit", "cpus", "pids_limit"} <= set(service)
        assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}


def test_nothing_is_killed_before_its_own_grace_has_passed(services: Any) -> None:
    grace = ServiceSettings.model_fields["shutdown_grace"].default
    for name, service in services.items():
        least = grace + 5 if name.endswith(("-api", "-worker")) else 10
        assert seconds(service["stop_grace_period"]) >= least


def test_every_service_is_migrated_before_it_runs(services: Any) -> None:
    for service in SERVICES:
        runs = [name for name in services if name in (f"{service}-api", f"{service}-worker")]
        assert f"{service}-worker" in runs
        for name in runs:
            assert services[name]["depends_on"][f"{service}-migrate"] == {"condition": ENDED}
            assert services[name]["command"] == ["serve", f"{service}.main", "--role", name.split("-")[1]]


def test_a_worker_waits_for_its_queues(services: Any) -> None:
    for service in SERVICES:
        assert services[f"{service}-worker"]["depends_on"]["definitions"] == {"condition": ENDED}


def test_the_monitor_starts_after_the_brokers_definitions(services: Any) -> None:
    assert services["monitor"]["depends_on"] == {"definitions": {"condition": ENDED}}
    assert "/readyz" in services["monitor"]["healthcheck"]["test"][-1]


def test_a_container_waits_only_for_containers_of_the_file(services: Any) -> None:
    for service in services.values():
        for name, how in service.get("depends_on", {}).items():
            assert how["condition"] == (ENDED if name in jobs(services) else "service_healthy")


def test_a_container_that_can_be_scaled_has_no_fixed_name_or_port(services: Any) -> None:
    for name in (name for name in services if name.endswith(("-api", "-worker"))):
        assert not {"container_name", "ports", "hostname"} & set(services[name])
