"""The warehouse's settings, from the environment."""

from dataclasses import field
from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0)]


@dataclass(frozen=True, slots=True)
class Settings:
    """Times are in seconds. `catalogue` is a file with the products that the warehouse has: it leaves orders
    with any other product alone. An order is shipped `ship_after` it was paid, and a return received
    `receive_after` it was requested. It looks for both every `every`; a call may take `timeout`, and the
    pause after failures grows to `longest_pause`."""

    gateway_url: str
    email: str
    catalogue: Path
    password: str = field(repr=False)
    host: str = "127.0.0.1"
    port: Count = 18016
    ship_after: Seconds = 20.0
    receive_after: Seconds = 10.0
    every: Annotated[float, Field(gt=0)] = 2.0
    timeout: Annotated[float, Field(gt=0)] = 10.0
    longest_pause: Annotated[float, Field(gt=0)] = 30.0
    page: Annotated[int, Field(ge=1, le=100)] = 50


VARIABLES = {name: f"WAREHOUSE_{name.upper()}" for name in Settings.__dataclass_fields__} | {
    name: name.upper() for name in ("gateway_url", "host", "port")
}
