"""`shop provision kong` prints a file that the gateway can load, or says what is wrong in one line."""

import json
from pathlib import Path

import pytest
import yaml
from joserfc.jwk import ECKey
from typer.testing import CliRunner, Result

from shop.cli import app
from shop.errors import ShopError

KONG = Path(__file__).parents[4] / "deploy/kong/kong.yml"


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"keys": [ECKey.generate_key("P-256", {"kid": "k1"}).as_dict(private=False)]}))
    return file


def render(keys: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["provision", "kong", "--kong", str(KONG), "--keys", str(keys), *options])


def test_it_prints_a_file_with_the_keys(keys: Path) -> None:
    done = render(keys, "--upstream", "order=127.0.0.1:18004")
    assert done.exit_code == 0, done.output
    printed = yaml.safe_load(done.stdout)
    assert printed["consumers"][0]["jwt_secrets"][0]["key"] == "k1"
    assert {s["url"] for s in printed["services"] if s["name"] == "order"} == {"http://127.0.0.1:18004"}


def test_it_reads_the_password_of_redis_from_a_file(keys: Path, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("geheim\n")
    options = ("--redis-password-file", str(password), "--redis", "10.0.0.5:6380")
    done = render(keys, *options, "--traces-endpoint", "http://collector:4318/v1/traces")
    assert done.exit_code == 0, done.output
    plugins = {plugin["name"]: plugin for plugin in yaml.safe_load(done.stdout)["plugins"]}
    assert plugins["rate-limiting"]["config"]["redis"] | {"timeout": 0} == {
        "host": "10.0.0.5",
        "port": 6380,
        "password": "geheim",
        "timeout": 0,
        "database": 0,
        "ssl": False,
    }
    assert plugins["opentelemetry"]["enabled"]


def test_it_has_the_gateway_verify_a_redis_that_speaks_tls(keys: Path) -> None:
    done = render(keys, "--redis", "redis.example.com:6380", "--redis-tls")
    assert done.exit_code == 0, done.output
    plugins = {plugin["name"]: plugin for plugin in yaml.safe_load(done.stdout)["plugins"]}
    redis = plugins["rate-limiting"]["config"]["redis"]
    assert (redis["ssl"], redis["ssl_verify"], redis["server_name"]) == (True, True, "redis.example.com")


def test_it_refuses_tls_to_an_address_without_a_name(keys: Path) -> None:
    done = render(keys, "--redis", "10.0.0.5:6380", "--redis-tls")
    assert isinstance(done.exception, ShopError)
    assert "needs a host name" in str(done.exception)


@pytest.mark.parametrize(
    "wrong",
    [
        ("--redis", "redis"),
        ("--redis-password-file", "/nowhere"),
        ("--traces-endpoint", "collector"),
        ("--upstream", "order"),
        ("--upstream", "order=18004"),
    ],
)
def test_it_refuses_options_that_no_gateway_could_use(keys: Path, wrong: tuple[str, str]) -> None:
    done = render(keys, *wrong)
    assert isinstance(done.exception, ShopError)
    assert "\n" not in str(done.exception)


def test_it_refuses_a_set_without_keys(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_text("{}")
    assert isinstance(render(file).exception, ShopError)
