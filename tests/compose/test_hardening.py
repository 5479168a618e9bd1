"""The compose file gives each container as few rights as its program needs."""

import re
from typing import Any

from tests.compose.conftest import ROOT, read

OURS = "saga-shop/"
# Their entrypoints make the data folder the server's own, then become its user.
START_AS_ROOT = {"postgres", "rabbitmq"}
NEEDED_FOR_THAT = {"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"}
OWN_USER_IN_ITS_IMAGE = {"kong"}


def test_no_container_may_write_to_its_image_or_gain_rights(services: Any) -> None:
    for service in services.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert not {"privileged", "devices", "pid", "ipc", "userns_mode"} & set(service)


def test_only_servers_that_must_own_their_data_get_capabilities_back(services: Any) -> None:
    given = {name: set(service["cap_add"]) for name, service in services.items() if "cap_add" in service}
    assert given == dict.fromkeys(START_AS_ROOT, NEEDED_FOR_THAT)


def test_nothing_else_runs_as_root(services: Any) -> None:
    for name, service in services.items():
        if name not in START_AS_ROOT | OWN_USER_IN_ITS_IMAGE:
            assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"])
        if service["image"].startswith(OURS):
            assert service["user"] == "10001:10001"


def test_every_image_from_elsewhere_is_pinned(services: Any) -> None:
    images = [s["image"] for s in services.values() if not s["image"].startswith(OURS)]
    images += re.findall(r"^ARG PYTHON=(.+)$", (ROOT / "deploy/service.Dockerfile").read_text(), re.M)
    assert len(images) == 6
    for image in images:
        assert re.fullmatch(r"[\w/]+:v?\d+\.\d+(\.\d+)?(-[\w-]+)?", image)


def test_our_images_start_from_the_pinned_one_only() -> None:
    dockerfile = (ROOT / "deploy/service.Dockerfile").read_text()
    stages = re.findall(r"^FROM (\S+) AS (\S+)$", dockerfile, re.M)
    assert {base for base, _ in stages} <= {"${PYTHON}", *(stage for _, stage in stages)}
    assert re.search(r"pip install .* uv==\d+\.\d+\.\d+$", dockerfile, re.M)


def test_our_images_are_built_here_and_never_fetched(services: Any) -> None:
    ours = {name: s for name, s in services.items() if s["image"].startswith(OURS)}
    assert all(("build" in service) != (service.get("pull_policy") == "never") for service in ours.values())
    built = [service["image"] for service in ours.values() if "build" in service]
    assert sorted(built) == sorted({service["image"] for service in ours.values()})


def test_nothing_secret_gets_into_an_image() -> None:
    """An allow-list: state, secrets and history are left out without being named."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    allowed = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    assert allowed == {
        "pyproject.toml",
        "uv.lock",
        "*/pyproject.toml",
        "*/src",
        "tools/*/pyproject.toml",
        "tools/*/src",
        "deploy/kong/kong.yml",
        "deploy/kong/error.html",
        "deploy/rabbitmq/definitions.json",
        "storefront/catalogue.json",
    }


def test_an_image_gets_every_file_that_it_copies() -> None:
    allowed = (ROOT / ".dockerignore").read_text().splitlines()
    dockerfile = (ROOT / "deploy/service.Dockerfile").read_text()
    copies = re.findall(r"^COPY --chmod=\S+ (.+) \S+$", dockerfile, re.MULTILINE)
    assert copies
    for file in " ".join(copies).split():
        assert f"!{file}" in allowed
        assert (ROOT / file).is_file()


def test_the_lab_file_replaces_kong_and_the_mailbox() -> None:
    lab = read("deploy/compose.lab.yml")["services"]
    assert set(lab) == {"kong", "mailpit", "notification-worker"}
    assert set(lab["notification-worker"]["environment"]) == {"SMTP_TLS", "SMTP_CA_FILE"}
    assert set(lab["mailpit"]) == {"healthcheck"}
    assert not {"ports", "networks", "volumes", "cap_add", "read_only"} & set(lab["kong"])
