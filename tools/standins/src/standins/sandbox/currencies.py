"""What Stripe takes in each currency, in its own units: a copy of https://docs.stripe.com/currencies (July
2026) that knows nothing of the shop's, so that either finds the other's mistakes."""

from standins.sandbox.errors import Refusal

# As the refusal of an unknown currency lists them, without those that are no money any more.
_SUPPORTED = """
    usd aed afn all amd aoa ars aud awg azn bam bbd bdt bhd bif bmd bnd bob brl bsd bwp byn bzd cad cdf
    chf clp cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf gtq gyd hkd hnl
    htg huf idr ils inr isk jmd jod jpy kes kgs khr kmf krw kwd kyd kzt lak lbp lkr lrd lsl mad mdl mga
    mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd omr pab pen pgk php pkr pln pyg qar
    ron rsd rub rwf sar sbd scr sek sgd shp sle sos srd szl thb tjs tnd top try ttd twd tzs uah ugx uyu
    uzs vnd vuv wst xaf xcd xof xpf yer zar zmw
"""
_ZERO_DECIMALS = "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf"
SUPPORTED = _SUPPORTED.split()
ZERO_DECIMALS = frozenset(_ZERO_DECIMALS.split())
THREE_DECIMALS = frozenset(["bhd", "jod", "kwd", "omr", "tnd"])
ENDS_IN_00 = frozenset(["isk", "ugx"])

_SMALLEST = {
    "usd ars aud brl cad chf cop eur idr ils inr jpy krw nzd php rub sgd zar": 50,
    "aed myr pln ron": 200,
    "nok sek": 300,
    "mxn thb": 1000,
    "gbp": 30,
    "dkk": 250,
    "hkd": 400,
    "czk": 1500,
    "huf": 17_500,
}
SMALLEST = {code: amount for codes, amount in _SMALLEST.items() for code in codes.split()}
LARGEST = 99_999_999


def check_charge(amount: int, currency: str) -> None:
    """Raises Refusal when no payment of that amount can be made."""
    if currency not in SUPPORTED:
        listed = ", ".join(SUPPORTED)
        message = f"Invalid currency: {currency}. Stripe currently supports these currencies: {listed}"
        raise Refusal(message, param="currency")
    check_units(amount, currency, "amount")
    if amount < SMALLEST.get(currency, 1):
        message = f"Amount must be at least {written(SMALLEST[currency], currency)}"
        raise Refusal(message, code="amount_too_small", param="amount")
    if amount > LARGEST:
        message = f"Amount must be no more than {written(LARGEST, currency)}"
        raise Refusal(message, code="amount_too_large", param="amount")


def check_units(amount: int | None, currency: str, param: str) -> None:
    """Raises Refusal when there is no such amount of that currency, in a payment, a capture or a refund.

    Source of the first: https://support.stripe.com/questions/deprecation-of-fractional-isk-charges-and-refunds.
    The document asks for the second and does not say how it is refused.
    """
    if amount is None:
        return
    if currency in ENDS_IN_00 and amount % 100:
        message = (
            f"Invalid amount. Currency {currency.upper()} has become effectively zero-decimal and charged"
            " amounts must be evenly divisible by 100. See https://stripe.com/docs/currencies#special-cases"
            " for more information."
        )
        raise Refusal(message, code="invalid_charge_amount_no_decimal_compatible", param=param)
    if currency in THREE_DECIMALS and amount % 10:
        message = f"Invalid amount. The last digit of an amount in {currency.upper()} must be 0."
        raise Refusal(message, code="invalid_charge_amount", param=param)


def written(amount: int, currency: str) -> str:
    """As a person reads it."""
    decimals = 0 if currency in ZERO_DECIMALS else 3 if currency in THREE_DECIMALS else 2
    whole, part = divmod(amount, (1, 10, 100, 1000)[decimals])
    return f"{whole:,}.{part:0{decimals}} {currency}" if decimals else f"{whole:,} {currency}"
