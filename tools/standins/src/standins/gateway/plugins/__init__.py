"""The Kong plugins that `kong.yml` may name; any other is refused."""

from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict

Name = TypeVar("Name", bound=str)
Config = TypeVar("Config", bound=BaseModel)


class Strict(BaseModel):
    """The root of every model of `kong.yml`: a field or value that is not declared here stops the start."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Entry(Strict, Generic[Name, Config]):
    """A plugin as `kong.yml` lists it."""

    name: Name
    config: Config
