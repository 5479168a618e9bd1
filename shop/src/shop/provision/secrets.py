"""Everybody's secrets, each reader's in a folder of its own: a container mounts that and sees no other's."""

import json
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shop.broker import topology
from shop.errors import ShopError
from shop.machine import write
from shop.provision import certificates
from shop.provision.databases import owner_of
from shop.provision.kong import render_file
from shop.secrets import SIGNING_KEYS, Secrets, role_secret
from shop.targets import OPERATOR, SERVICES

VAULT = "vault"  # the folder of all of them, for the provisioning
_REDIS = "redis"
_KONG = "kong"
_PROVIDER = ("stripe-api-key", "stripe-webhook-secret")
_MORE: dict[str, tuple[str, ...]] = {
    "auth": ("contact-key", SIGNING_KEYS, "admin-password", "warehouse-password"),
    "order": ("contact-key", "action-key"),
    "payment": (*_PROVIDER, "action-key"),
    "notification": ("contact-key",),
}
# Images of others read them as users whose ids only they know.
_OTHERS = ("postgres", "rabbitmq", "redis", "kong")
_TLS_SERVERS = ("postgres", "rabbitmq", "redis", "mailpit")
_HERE = ("localhost", "127.0.0.1", "::1")  # where a published port is reached
_NO_CLIENTS = ("postgres", "rabbitmq", "mailpit", "sandbox", "storefront", "catalogue", "warehouse")
_CA = "ca.pem"
_REDIS_TLS = """\
port 0
tls-port 6379
tls-cert-file /run/secrets/redis.pem
tls-key-file /run/secrets/redis-key.pem
tls-auth-clients no
"""

Files = Mapping[str, str]  # texts by the files' names


def hand_out(
    folder: Path, kong_file: Path, hostname: str | None = None, *, tls: bool = False, **options: Any
) -> list[Path]:
    """Make what is missing, and give it to its readers. Returns the files that were not as they are now.

    `kong_file` has `error.html` beside it.
    `hostname` is in the gateway's certificate, beside this machine's names. With `tls` all servers get
    certificates, and their clients the CA's. The options are those of `shop.provision.kong.render`. Raises
    ShopError when the folder cannot be written, a certificate is unusable, or `kong_file` cannot be rendered.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        vault = Secrets(folder / VAULT)
        hosts = (*_HERE, _KONG, *filter(None, [hostname]))
        certificates.provide(folder / VAULT, _KONG, hosts)
        kong_yml = render_file(
            kong_file,
            vault.read(SIGNING_KEYS),
            redis_password=vault.read(_REDIS),
            redis_tls=tls,
            **options,
        )
        error_html = kong_file.with_name("error.html").read_text()
        handed = _handed_out(vault, {"kong.yml": kong_yml, "error.html": error_html}, tls)
        if tls:
            handed = _with_certificates(folder / VAULT, handed)
        return [
            file
            for reader, texts in handed.items()
            for name, text in texts.items()
            if _put(file := folder / reader / name, text, 0o444 if reader in _OTHERS else 0o440)
        ]
    except OSError as error:
        raise ShopError(f"{error.filename or folder}: {error.strerror}") from error


def _handed_out(vault: Secrets, kong: Files, tls: bool) -> Mapping[str, Files]:
    """The files of each reader, by their names."""

    def password_of(user: str) -> str:
        return vault.password(f"rabbitmq-{user}")

    return {
        **{
            service: {
                "database-password": vault.read(role_secret(service)),
                "amqp-password": vault.read(f"rabbitmq-{service}"),
                **_same(vault, _MORE.get(service, ())),
            }
            for service in SERVICES
        },
        **{
            f"{service}-owner": {"database-password": vault.read(role_secret(owner_of(service)))}
            for service in SERVICES
        },
        "postgres": {"password": vault.password(role_secret(OPERATOR))},
        # What a fresh broker starts with: somebody to provision it, and no `guest`.
        "rabbitmq": {"definitions.json": json.dumps(topology.render({}, OPERATOR, password_of), indent=1)},
        "redis": {"redis.conf": f"requirepass {vault.read(_REDIS)}\n{_REDIS_TLS if tls else ''}"},
        _KONG: {**kong, **_same(vault, (f"{_KONG}.pem", f"{_KONG}-key.pem"))},
        "sandbox": _same(vault, _PROVIDER),
        "storefront": _same(vault, ("session-key",)),
        "catalogue": _same(vault, ("admin-password",)),
        "warehouse": _same(vault, ("warehouse-password",)),
        "monitor": {"rabbitmq-password": password_of(OPERATOR)},
        "operator": {
            "postgres-password": vault.read(role_secret(OPERATOR)),
            "rabbitmq-password": password_of(OPERATOR),
            **_same(vault, ("admin-password", "stripe-api-key")),
        },
    }


def _with_certificates(vault: Path, handed: Mapping[str, Files]) -> Mapping[str, Files]:
    """What each reader is handed, with the servers' certificates and the CA's for their clients."""
    for server in _TLS_SERVERS:
        certificates.provide(vault, server, (server, *_HERE))

    def texts(*names: str) -> Files:
        return {name: (vault / name).read_text() for name in names}

    servers = {server: texts(f"{server}.pem", f"{server}-key.pem") for server in _TLS_SERVERS}
    ca = texts(_CA)
    return {
        reader: {**handed.get(reader, {}), **servers.get(reader, {}), **({} if reader in _NO_CLIENTS else ca)}
        for reader in (*handed, *(server for server in _TLS_SERVERS if server not in handed))
    }


def _same(vault: Secrets, names: tuple[str, ...]) -> Files:
    return {name: vault.read(name) for name in names}


def _put(file: Path, text: str, mode: int) -> bool:
    if file.exists() and stat.S_IMODE(file.stat().st_mode) == mode and file.read_text() == text:
        return False
    file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    write(file, text, mode)
    return True
