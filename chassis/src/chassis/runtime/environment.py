"""Settings from the environment: each as `NAME`, or as `NAME_FILE`, the path of a file with the value."""

import os
import sys
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

from pydantic import AfterValidator, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

_LARGEST_FILE = 1024 * 1024

T = TypeVar("T", bound="Environment")


class Misconfigured(ValueError):
    """A variable has an impossible value; the text begins with the variable's name."""


class Environment(BaseSettings):
    """Settings whose fields are read from variables of the same name in upper case. An empty variable counts
    as unset.

    A file's last newline is not part of the value. If `name_file` is a field itself, the variable `NAME_FILE`
    is that field's value, and the file is not read here.
    """

    model_config = SettingsConfigDict(
        env_prefix="", env_ignore_empty=True, frozen=True, hide_input_in_errors=True
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        assert isinstance(env_settings, EnvSettingsSource)
        return init_settings, env_settings, _Files(settings_cls, env_settings.env_prefix)


def load(settings: type[T], prefix: str | None = None, **given: Any) -> T:
    """Read settings from the environment. Writes errors to standard error, and exits with 78 (EX_CONFIG)
    then.

    `prefix`: the beginning of the variables' names.
    `given`: values that replace those of the environment.
    """
    prefix = settings.model_config["env_prefix"] if prefix is None else prefix
    try:
        return settings(_env_prefix=prefix, **given)
    except ValidationError as error:
        for problem in error.errors(include_input=False, include_url=False):
            where = "".join(f"{prefix}{field}: ".upper() for field in problem["loc"][:1])
            sys.stderr.write(f"{where}{problem['msg'].removeprefix('Value error, ')}\n")
    except Misconfigured as error:
        sys.stderr.write(f"{error}\n")
    sys.exit(os.EX_CONFIG)


def password_in(field: str) -> AfterValidator:
    """A validator for a URL: inserts the password of `field`, which has to be declared before the URL."""
    return AfterValidator(lambda url, given: with_password(url, given.data.get(field)))


def with_password(url: str, password: SecretStr | None) -> str:
    """The URL with this password. Raises ValueError if it names no user, or has a password already."""
    if password is None:
        return url
    parts = urlsplit(url)
    if not parts.username:
        raise ValueError("names no user for the password that is given apart")
    if parts.password is not None:
        raise ValueError("has a password, and another is given apart")
    user, _, host = parts.netloc.rpartition("@")
    secret = quote(password.get_secret_value(), safe="")
    return parts._replace(netloc=f"{user.removesuffix(':')}:{secret}@{host}").geturl()


class _Files(PydanticBaseSettingsSource):
    def __init__(self, settings: type[BaseSettings], prefix: str) -> None:
        super().__init__(settings)
        self._prefix = prefix

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        variable = f"{self._prefix}{field_name}".upper()
        path = os.environ.get(f"{variable}_FILE")
        if not path or f"{field_name}_file" in self.settings_cls.model_fields:
            return None, field_name, False
        if os.environ.get(variable):
            raise Misconfigured(f"{variable}_FILE: {variable} is given as well")
        return _read(f"{variable}_FILE", Path(path)), field_name, False

    def __call__(self) -> dict[str, Any]:
        fields = self.settings_cls.model_fields
        values = {name: self.get_field_value(field, name)[0] for name, field in fields.items()}
        return {name: value for name, value in values.items() if value is not None}


def _read(variable: str, path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
        text = content.decode().removesuffix("\n")
    except OSError as error:
        raise Misconfigured(f"{variable}: cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Misconfigured(f"{variable}: {path} holds no text") from None
    if not text or len(content) > _LARGEST_FILE:
        raise Misconfigured(f"{variable}: {path} is {'too large' if text else 'empty'}")
    return text
