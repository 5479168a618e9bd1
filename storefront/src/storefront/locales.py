"""The languages of the pages: texts, money, dates and names of countries by locale."""

import re
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from io import BytesIO
from pathlib import Path

from babel import Locale, negotiate_locale
from babel.dates import format_datetime
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from starlette.requests import Request

from contracts import CURRENCIES

_DECIMAL = re.compile(r"[0-9]{1,8}([.,][0-9]{0,3})?")
_HIGHEST_PRICE = 99_999_999  # that product has
COOKIE = "lang"
SOURCE = "en"
_FOLDER = Path(__file__).with_name("translations")
# Territories of the CLDR that ISO 3166-1 has no code for, and codes of no country.
_NO_COUNTRIES = {"AC", "CP", "CQ", "DG", "EA", "EU", "EZ", "IC", "QO", "TA", "UN", "XA", "XB", "XK", "ZZ"}


@dataclass(frozen=True)
class Language:
    """One language."""

    locale: Locale
    translations: NullTranslations

    @property
    def code(self) -> str:
        return str(self.locale.language)

    @property
    def name(self) -> str:
        """In the language itself."""
        return str(self.locale.get_language_name()).capitalize()

    def _(self, message: str) -> str:
        """The text in this language."""
        return str(self.translations.gettext(message))

    def money(self, amount: int, currency: str) -> str:
        """Minor units, for people. The decimals are those of the shop's list: the CLDR's are others for some
        currencies."""
        return _money(self.locale, amount, currency)

    def moment(self, time: str) -> str:
        """A time of the API (RFC 3339), for people, in UTC."""
        return str(format_datetime(datetime.fromisoformat(time), "medium", locale=self.locale))

    def country(self, code: str) -> str:
        """The name of a country (ISO 3166-1), or the code if it has none."""
        return str(self.locale.territories.get(code, code))

    def countries(self) -> list[tuple[str, str]]:
        """Code and name of each country (ISO 3166-1), by name."""
        names: Mapping[str, str] = self.locale.territories
        found = [
            (code, name)
            for code, name in names.items()
            if len(code) == 2 and code.isalpha() and code not in _NO_COUNTRIES
        ]
        return sorted(found, key=lambda one: one[1])


@lru_cache(maxsize=10_000)  # a list has two dozen, and the same ones again and again
def _money(locale: Locale, amount: int, currency: str) -> str:
    value, decimals = _value(amount, currency)
    pattern = copy(locale.currency_formats["standard"])
    pattern.frac_prec = (decimals, decimals)
    return str(pattern.apply(value, locale, currency=currency, currency_digits=False))


def decimal_amount(amount: int, currency: str) -> str:
    """Minor units as a decimal number, for machines: `19.99`."""
    value, decimals = _value(amount, currency)
    return f"{value:.{decimals}f}"


def minor_units(entered: str, currency: str) -> int | None:
    """A decimal number as it is entered, with a point or a comma, in minor units; None if it is none."""
    if currency not in CURRENCIES or not _DECIMAL.fullmatch(entered.strip()):
        return None
    value = Decimal(entered.strip().replace(",", "."))
    return min(int(value.scaleb(CURRENCIES[currency].decimals)), _HIGHEST_PRICE)


def _value(amount: int, currency: str) -> tuple[Decimal, int]:
    known = CURRENCIES.get(currency)
    decimals = known.decimals if known else 2
    return Decimal(amount).scaleb(-decimals), decimals


def languages() -> dict[str, Language]:
    """English, and those that have a file of translations."""
    found = {SOURCE: Language(Locale(SOURCE, "GB"), NullTranslations())}  # dates as in the texts' country
    for file in sorted(_FOLDER.glob("*.po")):
        with file.open("rb") as source:
            catalogue = read_po(source, locale=file.stem)
        compiled = BytesIO()
        write_mo(compiled, catalogue)
        compiled.seek(0)
        found[file.stem] = Language(Locale(file.stem), Translations(compiled))
    return found


def choose(request: Request, known: Mapping[str, Language]) -> Language:
    """The language that the shopper chose, or else the browser's first one that there is."""
    chosen = known.get(request.cookies.get(COOKIE, ""))
    if chosen is not None:
        return chosen
    accepted = request.headers.get("accept-language", "").split(",")
    tags = [tag for part in accepted if (tag := part.partition(";")[0].strip()).replace("-", "").isalnum()]
    return known[negotiate_locale(tags, list(known), sep="-") or SOURCE]
