"""`deploy/compose/operator env` prints how this machine reaches the containers, with TLS and without."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compose.conftest import ROOT

PROJECT = "test-operator-script"
# A `docker` that has published some ports, and answers as the shop's `env` does with its addresses.
DOCKER = """#!/bin/sh
case "$*" in
    "compose port "*) case " $PUBLISHED " in *" $4 "*) echo "127.0.0.1:2$4" ;; *) echo ":0" ;; esac ;;
    *"--entrypoint cat shop /run/secrets/ca.pem") echo "the CA" ;;
    *" shop env "*)
        while [ $# -gt 1 ]; do
            case "$1" in --management-url | --amqp-url) echo "export $1=$2" ;; esac
            shift
        done
        echo "export SHOP_AMQP_CA_FILE=/run/secrets/ca.pem"
        echo "export SHOP_DATABASE_URL=postgresql://postgres"
        echo "export SHOP_DATABASE_CA_FILE=/run/secrets/ca.pem" ;;
    *) exit 64 ;;
esac
"""


@pytest.fixture
def ca_file() -> Iterator[Path]:
    file = ROOT / ".local" / f"{PROJECT}-ca.pem"
    yield file
    file.unlink(missing_ok=True)


def printed(folder: Path, published: str) -> set[str]:
    docker = folder / "docker"
    docker.write_text(DOCKER)
    docker.chmod(0o755)
    done = subprocess.run(
        [ROOT / "deploy/compose/operator", "env"],
        env={
            "PATH": f"{folder}:{os.environ['PATH']}",
            "PUBLISHED": published,
            "COMPOSE_PROJECT_NAME": PROJECT,
        },
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return set(done.stdout.splitlines())


def test_a_broker_without_tls_is_reached_as_it_is(tmp_path: Path, ca_file: Path) -> None:
    assert printed(tmp_path, "8000 8025 5672 15672") >= {
        "export --amqp-url=amqp://operator@127.0.0.1:25672/",
        "export --management-url=http://127.0.0.1:215672",
    }
    assert not ca_file.exists()


def test_a_broker_with_tls_is_verified_by_a_copy_of_the_ca(tmp_path: Path, ca_file: Path) -> None:
    lines = printed(tmp_path, "8000 8025 5671 15671")

    assert lines >= {
        "export --amqp-url=amqps://operator@127.0.0.1:25671/",
        "export --management-url=https://127.0.0.1:215671",
        f"export SHOP_AMQP_CA_FILE={ca_file}",
    }
    assert not [line for line in lines if "DATABASE" in line]
    assert ca_file.read_text() == "the CA\n"
