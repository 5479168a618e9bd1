"""The root of every model of `kong.yml`: a field or value that is not written down here stops the start."""

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
