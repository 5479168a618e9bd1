"""Money on the wire: whole minor units and a currency, never a float."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

MinorUnits = Annotated[int, Field(ge=0, description="Minor units of the currency: pence, cents.")]
CurrencyCode = Annotated[
    str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217 code, upper case.", examples=["GBP"])
]


class Money(BaseModel):
    """An amount in minor units (`1999` is 19.99 GBP) of an ISO 4217 currency."""

    model_config = ConfigDict(frozen=True)

    amount: MinorUnits
    currency: CurrencyCode
