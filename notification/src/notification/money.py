"""Amounts as people read them, from minor units, without a float on the way."""

# ISO 4217, list one: the currencies whose minor unit is not a hundredth.
_NO_MINOR_UNIT = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_EXPONENTS = {
    **dict.fromkeys(_NO_MINOR_UNIT.split(), 0),
    **dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3),
    **dict.fromkeys(["CLF", "UYW"], 4),
}
_SYMBOLS = {"GBP": "£", "EUR": "€", "USD": "$"}


def written(amount: int, currency: str) -> str:
    """`1999, "GBP"` is `£19.99`; where the symbol is not everybody's, the code comes first: `JPY 1,999`."""
    exponent = _EXPONENTS.get(currency, 2)
    whole, part = divmod(amount, 10**exponent)
    figures = f"{whole:,}.{part:0{exponent}}" if exponent else f"{whole:,}"
    symbol = _SYMBOLS.get(currency)
    return f"{symbol}{figures}" if symbol else f"{currency} {figures}"
