"""The compose file's networks: which containers reach each other, and what is reachable from outside."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.compose.conftest import read

LOOPBACK = r"(127\.0\.0\.1|\$\{SHOP_BIND:-127\.0\.0\.1\})"
PUBLISHED = re.compile(LOOPBACK + r":\$\{SHOP_(\w+_)?PORT:-\d+\}:\d+")


def networks(service: Any) -> set[str]:
    return set(service.get("networks", []))


def test_kong_reaches_neither_the_database_nor_the_broker(services: Any) -> None:
    for name in ("postgres", "rabbitmq"):
        assert not networks(services["kong"]) & networks(services[name])


def test_an_api_reaches_no_broker_and_a_worker_is_reached_by_no_gateway(services: Any) -> None:
    for name, service in services.items():
        if name.endswith("-api"):
            assert "messages" not in networks(service)
        if name.endswith("-worker"):
            assert not networks(service) & networks(services["kong"])


def test_only_kong_uses_the_counters(services: Any) -> None:
    assert {name for name, s in services.items() if "counters" in networks(s)} == {"kong", "redis"}


def test_only_containers_that_need_it_reach_the_internet(compose: Any) -> None:
    outward = {name for name, network in compose["networks"].items() if not (network or {}).get("internal")}
    ways = {n for n, s in compose["services"].items() if networks(s) & outward}
    assert ways == {"kong", "rabbitmq", "payment-worker", "notification-worker", "sandbox", "mailpit", "shop"}


def test_every_published_port_is_bound_to_this_machine(services: Any) -> None:
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert set(published) == {"kong", "rabbitmq", "sandbox", "mailpit"}
    for ports in published.values():
        assert all(PUBLISHED.fullmatch(port) for port in ports)
    assert [port.split(":")[-1] for port in published["kong"]] == ["8000", "8443"]


def test_kong_listens_with_tls_and_a_certificate_that_its_volume_has(services: Any, handed: Path) -> None:
    environment = services["kong"]["environment"]
    listeners = [listener.split() for listener in environment["KONG_PROXY_LISTEN"].split(",")]
    assert [(address, "ssl" in options) for address, *options in listeners] == [
        ("0.0.0.0:8000", False),
        ("0.0.0.0:8443", True),
    ]
    for service in (services["kong"], read("deploy/compose.lab.yml")["services"]["kong"]):
        files = [
            value
            for name, value in service["environment"].items()
            if re.search("_CERT(_KEY)?$|^TLS_KEY$", name)
        ]
        assert [(handed / "kong" / Path(file).name).is_file() for file in files] == [True, True]


def test_kong_has_no_admin_api(services: Any) -> None:
    environment = services["kong"]["environment"]
    assert (environment["KONG_ADMIN_LISTEN"], environment["KONG_ADMIN_GUI_LISTEN"]) == ("off", "off")


def test_kong_and_services_that_count_clients_trust_the_storefront_and_the_proxies_in_front(
    compose: Any,
) -> None:
    services = compose["services"]
    environment = services["kong"]["environment"]
    trusted = environment["KONG_TRUSTED_IPS"]
    subnet = compose["networks"]["pages"]["ipam"]["config"][0]["subnet"]
    assert trusted == subnet + "${TRUSTED_PROXIES:+,}${TRUSTED_PROXIES:-}"
    assert read("deploy/compose.lab.yml")["services"]["kong"]["environment"]["TRUSTED_PROXIES"] == trusted
    assert (environment["KONG_REAL_IP_HEADER"], environment["KONG_REAL_IP_RECURSIVE"]) == (
        "X-Forwarded-For",
        "on",
    )
    for name in ("auth-api", "auth-worker", "order-api", "order-worker"):
        assert services[name]["environment"]["TRUSTED_PROXIES"] == trusted


def test_the_network_that_kong_trusts_has_kong_and_the_storefront_alone(compose: Any) -> None:
    assert {name for name, s in compose["services"].items() if "pages" in networks(s)} == {
        "kong",
        "storefront",
    }
    assert networks(compose["services"]["storefront"]) == {"pages"}
    assert compose["networks"]["pages"]["internal"] is True


def test_kong_notices_that_a_service_has_moved(services: Any) -> None:
    environment = services["kong"]["environment"]
    assert (environment["KONG_DNS_VALID_TTL"], environment["KONG_DNS_STALE_TTL"]) == ("5", "5")
    assert environment["KONG_DNS_NOT_FOUND_TTL"] == "1"


def test_kong_stops_before_it_is_killed_even_with_open_event_streams(services: Any) -> None:
    timeout = services["kong"]["environment"]["KONG_NGINX_MAIN_WORKER_SHUTDOWN_TIMEOUT"]
    grace = services["kong"]["stop_grace_period"]
    assert int(timeout.removesuffix("s")) < int(grace.removesuffix("s"))


def test_every_upstream_of_kong_is_a_name_beside_it(services: Any) -> None:
    names = {
        alias
        for name, service in services.items()
        if networks(service) & {"edge", "pages"}
        for alias in (name, *aliases(service, "edge"))
    }
    upstreams = [urlsplit(service["url"]) for service in read("deploy/kong/kong.yml")["services"]]
    assert {upstream.hostname for upstream in upstreams} <= names
    assert {upstream.port for upstream in upstreams} == {8000}


def aliases(service: Any, network: str) -> list[str]:
    joined = service["networks"]
    return (joined.get(network) or {}).get("aliases", []) if isinstance(joined, dict) else []


def test_networks_and_volumes_are_those_that_are_used(compose: Any) -> None:
    services = compose["services"].values()
    assert set(compose["networks"]) == {network for service in services for network in networks(service)}
    mounted = {mount.split(":")[0] for service in services for mount in service.get("volumes", [])}
    assert set(compose["volumes"]) == {source for source in mounted if not source.startswith("./")}
