"""Money on the wire, never a float; the currencies in which the shop sells, and the minor units of the
provider: one list for all services.

The shop's amounts are minor units by ISO 4217, the provider's are minor units by Stripe, and the two differ.
The list is closed: another currency can be neither priced nor charged. It is part of the code, not read from
a library, since an update must not change the meaning of amounts in a database: Iceland and Uganda gave up
their hundredths, ISO 4217 followed, and Stripe still uses them. A test compares the list with ISO 4217.

Sources: https://docs.stripe.com/currencies (presentment currencies, zero-decimal currencies, three-decimal
currencies, special cases, minimum and maximum charge amounts; July 2026), for ISK also
https://support.stripe.com/questions/deprecation-of-fractional-isk-charges-and-refunds, and ISO 4217 list one,
https://www.six-group.com/en/products-services/financial-information/data-standards.html (January 2026).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

MinorUnits = Annotated[int, Field(ge=0, description="Minor units of the currency: pence, cents.")]
CurrencyCode = Annotated[
    str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217 code, upper case.", examples=["GBP"])
]


class Money(BaseModel):
    """An amount in minor units (`1999` is 19.99 GBP) of an ISO 4217 currency."""

    model_config = ConfigDict(frozen=True)

    amount: MinorUnits
    currency: CurrencyCode


# Eight digits in the provider's units, for every card: https://docs.stripe.com/api/payment_intents/create
LARGEST_CHARGE = 99_999_999

_TENS = (1, 10, 100, 1000, 10_000)


@dataclass(frozen=True, slots=True)
class Currency:
    """One currency. `decimals` are those of ISO 4217, used in the shop's amounts; `provider_decimals` those
    of the provider's amounts.

    An amount is a multiple of `step`. `minimum` is the smallest charge; where the provider documents none it
    is one step, and the provider may demand more, the equivalent of the account's own minimum. Both are in
    the shop's minor units.
    """

    code: str
    decimals: int
    provider_decimals: int
    step: int
    minimum: int

    @property
    def maximum(self) -> int:
        """The largest charge, in the shop's minor units."""
        most = LARGEST_CHARGE * _TENS[self.decimals] // _TENS[self.provider_decimals]
        return most - most % self.step

    def can_be_charged(self, amount: int) -> bool:
        """Whether the provider can represent this amount; `minimum` is not checked."""
        return amount % self.step == 0 and amount <= self.maximum

    def to_provider(self, amount: int) -> int:
        """The same amount in the provider's units. Raises ValueError when there is none."""
        units, rest = divmod(amount * _TENS[self.provider_decimals], _TENS[self.decimals])
        if rest or amount % self.step:
            raise ValueError(f"{amount} is not a multiple of {self.step} minor units of {self.code}")
        return units

    def from_provider(self, units: int) -> int:
        """The same amount in the shop's minor units. Raises ValueError when there is none."""
        amount, rest = divmod(units * _TENS[self.decimals], _TENS[self.provider_decimals])
        if rest or amount % self.step:
            raise ValueError(f"{units} is not a whole amount of {self.code}")
        return amount


# Including HUF and TWD: only their payouts are in whole units, and the shop makes none.
_TWO_DECIMALS = """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BWP BYN BZD CAD CDF CHF CNY COP
    CRC CVE CZK DKK DOP DZD EGP ETB EUR FJD FKP GBP GEL GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR JMD
    KES KGS KHR KYD KZT LAK LBP LKR LRD LSL MAD MDL MKD MMK MNT MOP MUR MVR MWK MXN MYR MZN NAD NGN NIO
    NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SEK SGD SHP SLE SOS SRD SZL THB TJS
    TOP TRY TTD TWD TZS UAH USD UYU UZS WST XCD YER ZAR ZMW
"""
_NO_DECIMALS = "BIF CLP DJF GNF JPY KMF KRW PYG RWF VND VUV XAF XOF XPF"
_THREE_DECIMALS = "BHD JOD KWD OMR TND"  # the last digit must be 0
_STILL_HUNDREDTHS = "ISK UGX"  # none in ISO 4217 any more; the provider's amounts must end in 00
_NONE_AT_THE_PROVIDER = "MGA"  # two by ISO 4217, though an ariary has five iraimbilanja

# "Minimum and maximum charge amounts", in the shop's minor units.
_MINIMA = {
    **dict.fromkeys(["ARS", "AUD", "BRL", "CAD", "CHF", "COP", "EUR", "IDR", "ILS", "INR"], 50),
    **dict.fromkeys(["JPY", "KRW", "NZD", "PHP", "RUB", "SGD", "USD", "ZAR"], 50),
    **dict.fromkeys(["AED", "MYR", "PLN", "RON"], 200),
    **dict.fromkeys(["NOK", "SEK"], 300),
    **dict.fromkeys(["MXN", "THB"], 1000),
    "GBP": 30,
    "DKK": 250,
    "HKD": 400,
    "CZK": 1500,
    "HUF": 17_500,
}


def _listed(
    codes: str, decimals: int, provider_decimals: int, step: int = 1
) -> Iterator[tuple[str, Currency]]:
    for code in codes.split():
        yield code, Currency(code, decimals, provider_decimals, step, _MINIMA.get(code, step))


CURRENCIES: dict[str, Currency] = dict(
    sorted(
        [
            *_listed(_TWO_DECIMALS, 2, 2),
            *_listed(_NO_DECIMALS, 0, 0),
            *_listed(_THREE_DECIMALS, 3, 3, step=10),
            *_listed(_STILL_HUNDREDTHS, 0, 2),
            *_listed(_NONE_AT_THE_PROVIDER, 2, 0, step=100),
        ]
    )
)
"""By code, in upper case."""

# Of ISO 4217 but not on the list: rows of releases without the list may have them.
_OTHER_DECIMALS = {"UYI": 0, "IQD": 3, "LYD": 3, "CLF": 4, "UYW": 4}
_SYMBOLS = {"GBP": "£", "EUR": "€", "USD": "$"}


def format_amount(amount: int, code: str) -> str:
    """Format an amount for people: `1999, "GBP"` is `£19.99`; without a well-known symbol the code comes
    first: `JPY 1,999`. Uses no float."""
    sign, symbol = "-" if amount < 0 else "", _SYMBOLS.get(code, f"{code} ")
    return f"{sign}{symbol}{_figures(abs(amount), code)}"


def format_amount_with_code(amount: int, code: str) -> str:
    """Format an amount for tables and logs, with the code last: `1,999.00 GBP`."""
    return f"{'-' if amount < 0 else ''}{_figures(abs(amount), code)} {code}"


def _figures(amount: int, code: str) -> str:
    known = CURRENCIES.get(code)
    decimals = known.decimals if known else _OTHER_DECIMALS.get(code, 2)
    whole, part = divmod(amount, _TENS[decimals])
    return f"{whole:,}.{part:0{decimals}}" if decimals else f"{whole:,}"


def _check_listed(code: str) -> str:
    if code not in CURRENCIES:
        raise ValueError("must be a currency that can be charged, by its ISO 4217 code in upper case")
    return code


ListedCurrency = Annotated[
    str,
    Field(
        description="ISO 4217 code of a currency that can be charged.",
        examples=["GBP"],
        json_schema_extra={"enum": list(CURRENCIES)},
    ),
    AfterValidator(_check_listed),
]
"""For fields of requests."""
