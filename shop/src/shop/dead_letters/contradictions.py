"""What an edit changes that money and stock follow: amounts, lines, quantities, currency and ids."""

from collections.abc import Iterator, Mapping
from typing import Any

from contracts import format_amount_with_code
from order.domain import Order
from shop.dead_letters.letter import Letter

_GUARDED = {"amount", "currency", "quantity", "unit_price", "sku", "wanted", "available"}
_ABSENT = object()

Facts = Mapping[str, Any]  # by path, `total.amount`


def contradictions(before: Letter, after: Letter, order: Order | None) -> list[str]:
    """A sentence for each such fact that the edit changes to something else than `order` has.

    `order` is None where nobody knows it: then every change is named.
    """
    old, new = _facts(before.json), _facts(after.json)
    own = _facts(order.created().model_dump(mode="json")) if order else {}
    changed = [path for path in {**old, **new} if old.get(path, _ABSENT) != new.get(path, _ABSENT)]
    return [
        _sentence(path, after, order, own, old, new)
        for path in changed
        if path not in own or own[path] != new.get(path, _ABSENT)
    ]


def _sentence(path: str, after: Letter, order: Order | None, own: Facts, old: Facts, new: Facts) -> str:
    label = path.removesuffix(".amount")
    edited = f"the edited message says {_shown(path, new)}"
    if order is None:
        return f"order {after.order_id} is not known: there is nothing to compare {label} with; {edited}"
    if path not in own:
        return f"order {order.order_id} has no {label}; the message says {_shown(path, old)}, {edited}"
    return f"order {order.order_id} has {label} {_shown(path, own)}; {edited}"


def _shown(path: str, facts: Facts) -> str:
    value = facts.get(path, _ABSENT)
    if value is _ABSENT:
        return "nothing of it"
    currency = facts.get(f"{path.removesuffix('amount')}currency")
    if path.endswith(".amount") and isinstance(value, int) and isinstance(currency, str):
        return format_amount_with_code(value, currency)
    return str(value)


def _facts(document: Any) -> Facts:
    return dict(_walk(document, ()))


def _walk(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    match value:
        case dict():
            for name, inner in value.items():
                yield from _walk(inner, (*path, name))
        case list():
            for number, inner in enumerate(value):
                yield from _walk(inner, (*path, str(number)))
        case _ if path and (path[-1] in _GUARDED or path[-1].endswith("_id")):
            yield ".".join(path), value
