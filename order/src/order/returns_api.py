"""The endpoints to fulfil, return and refund paid orders."""

from typing import Annotated, Any, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import Field, model_validator

from chassis.http.idempotency import IdempotencyKey, IdempotencyKeys
from chassis.http.identity import Caller, Principal, require
from chassis.http.problems import RESPONSES, Body, Forbidden, Unprocessable
from chassis.http.provided import Provided
from chassis.storage.tx import SqlTx
from contracts import CURRENCIES, Sku
from order import returning, schemas
from order.api import (
    READ_ALL,
    REFUND,
    EmptyBody,
    OrderRef,
    ProvidedOrders,
    ProvidedTransactions,
    Reason,
    audit,
    load,
    visible,
)
from order.domain import Order
from order.ids import new_order_id
from order.return_problems import as_problems
from order.returns import Pieces, Return, ReturnPeriod
from order.store import Row

router = APIRouter(tags=["returns"])

FULFIL = "orders:fulfil"

Keys = Provided[IdempotencyKeys]
Warehouse = Annotated[Principal, Depends(require(FULFIL))]
Refunder = Annotated[Principal, Depends(require(REFUND))]
Reader = Annotated[Principal, Depends(require(READ_ALL))]


class Line(Body):
    """A number of pieces of one of the order's lines."""

    sku: Sku
    quantity: Annotated[int, Field(ge=1, le=10_000)]


Lines = Annotated[list[Line], Field(min_length=1, max_length=1000)]


class RequestReturn(Body):
    """What the shopper wants to return."""

    lines: Lines


class RejectReturn(Body):
    """Why the return is rejected; the shopper sees it."""

    reason: Reason


class SettleRefund(Body):
    """How the shopper was paid in another way."""

    reason: Reason


class RefundOrder(Body):
    """What to refund: one of `whole`, `lines` and `amount`, and why."""

    reason: Reason
    whole: Annotated[Literal[True] | None, Field(description="All that is left to refund.")] = None
    lines: Annotated[
        Lines | None, Field(description="The price of these pieces, but no more than is left.")
    ] = None
    amount: Annotated[
        int | None, Field(ge=1, le=99_999_999, description="Minor units of the order's currency.")
    ] = None
    restock: Annotated[bool, Field(description="Whether the lines are restocked.")] = False

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(one is not None for one in (self.whole, self.lines, self.amount)) != 1:
            raise ValueError("must have exactly one of whole, lines and amount")
        if self.restock and self.lines is None:
            raise ValueError("restock needs lines")
        return self


@router.post(
    "/v1/orders/{order}/fulfil",
    response_model=schemas.OrderView,
    summary="Mark an order as fulfilled",
    responses={status: RESPONSES[status] for status in (404, 409)},
)
async def fulfil_order(
    ref: OrderRef,
    staff: Warehouse,
    orders: ProvidedOrders,
    transactions: ProvidedTransactions,
    _: EmptyBody = None,
) -> Response:
    """For staff, when the goods were shipped. From then on the order can be returned, not cancelled.
    Idempotent."""
    found = visible(await orders.owner(ref), staff, FULFIL)
    async with transactions() as tx:
        order = await load(tx, found)
        with as_problems():
            events = order.fulfil(tx.now)
        if events:
            tx.publish(*events)
            _audit(tx, staff, order, "fulfil", None)
    return schemas.response(schemas.order_view(visible(await orders.find(order.order_id), staff, FULFIL)))


@router.get(
    "/v1/orders/{order}/returns",
    response_model=schemas.Returns,
    summary="List an order's returns and refunds",
    responses={404: RESPONSES[404]},
)
async def list_returns(ref: OrderRef, caller: Caller, orders: ProvidedOrders) -> Response:
    """The oldest first."""
    return schemas.response(schemas.returns_view(visible(await orders.find(ref), caller)))


@router.post(
    "/v1/orders/{order}/returns",
    status_code=201,
    response_model=schemas.ReturnView,
    summary="Request a return",
    responses={status: RESPONSES[status] for status in (404, 409, 422)},
)
async def request_return(
    ref: OrderRef,
    body: RequestReturn,
    key: IdempotencyKey,
    caller: Caller,
    orders: ProvidedOrders,
    transactions: ProvidedTransactions,
    keys: Keys,
    period: Provided[ReturnPeriod],
) -> Response:
    """Of lines of a fulfilled order, within the shop's return period; staff can request it at any time. It is
    refunded once the goods have arrived. Not more pieces than were bought, less those returned or
    requested."""
    found = visible(await orders.owner(ref), caller, REFUND)
    is_staff = _is_staff(found, caller)
    async with keys.claim(caller.id, key, _payload("return", found, body)) as claim:
        if claim.stored:
            return claim.stored.replay()
        async with transactions() as tx:
            order = await load(tx, found)
            with as_problems():
                one = returning.request(
                    order, new_order_id(), _pieces(body.lines), tx.now, None if is_staff else period
                )
            if is_staff:
                _audit(tx, caller, order, "request return", one)
            answer = schemas.response(schemas.return_view(one, order.currency), 201)
            await claim.settle(tx.session, 201, bytes(answer.body), {"Content-Type": answer.media_type or ""})
    return answer


@router.post(
    "/v1/orders/{order}/returns/{return_id}/receive",
    response_model=schemas.ReturnView,
    summary="Mark a return as received",
    responses={status: RESPONSES[status] for status in (404, 409)},
)
async def receive_return(
    ref: OrderRef,
    return_id: UUID,
    staff: Warehouse,
    orders: ProvidedOrders,
    transactions: ProvidedTransactions,
    _: EmptyBody = None,
) -> Response:
    """For staff, when the goods have arrived: they are restocked and refunded, once. Idempotent."""
    found = visible(await orders.owner(ref), staff, FULFIL)
    async with transactions() as tx:
        order = await load(tx, found)
        with as_problems():
            events = returning.receive(order, return_id, tx.now)
        one = returning.find(order, return_id)
        if events:
            tx.publish(*events)
            _audit(tx, staff, order, "receive return", one)
    return schemas.response(schemas.return_view(one, order.currency))


@router.post(
    "/v1/orders/{order}/returns/{return_id}/reject",
    response_model=schemas.ReturnView,
    summary="Reject a requested return",
    responses={status: RESPONSES[status] for status in (404, 409)},
)
async def reject_return(
    ref: OrderRef,
    return_id: UUID,
    body: RejectReturn,
    staff: Warehouse,
    orders: ProvidedOrders,
    transactions: ProvidedTransactions,
) -> Response:
    """For staff, before it is received. Idempotent."""
    found = visible(await orders.owner(ref), staff, FULFIL)
    async with transactions() as tx:
        order = await load(tx, found)
        with as_problems():
            changed = returning.close(order, return_id, "rejected", body.reason)
        one = returning.find(order, return_id)
        if changed:
            _audit(tx, staff, order, "reject return", one, body.reason)
    return schemas.response(schemas.return_view(one, order.currency))


@router.post(
    "/v1/orders/{order}/returns/{return_id}/withdraw",
    response_model=schemas.ReturnView,
    summary="Withdraw a requested return",
    responses={status: RESPONSES[status] for status in (403, 404, 409)},
)
async def withdraw_return(
    ref: OrderRef,
    return_id: UUID,
    caller: Caller,
    orders: ProvidedOrders,
    transactions: ProvidedTransactions,
    _: EmptyBody = None,
) -> Response:
    """Before it is received; the pieces can be returned again. Idempotent."""
    found = visible(await orders.owner(ref), caller, REFUND)
    is_staff = _is_staff(found, caller)
    async with transactions() as tx:
        order = await load(tx, found)
        with as_problems():
            changed = returning.close(order, return_id, "withdrawn")
        one = returning.find(order, return_id)
        if changed and is_staff:
            _audit(tx, caller, order, "withdraw return", one)
    return schemas.response(schemas.return_view(one, order.currency))


@router.post(
    "/v1/orders/{order}/refunds",
    status_code=201,
    response_model=schemas.ReturnView,
    summary="Refund an order",
    responses={status: RESPONSES[status] for status in (404, 409, 422)},
)
async def refund_order(
    ref: OrderRef,
    body: RefundOrder,
    key: IdempotencyKey,
    staff: Refunder,
    orders: ProvidedOrders,
    transactions: ProvidedTransactions,
    keys: Keys,
) -> Response:
    """For staff: refund all that is left of a paid order, fulfilled or not, the price of some lines, or an
    amount. Not more than the order's total in all."""
    found = visible(await orders.owner(ref), staff, REFUND)
    async with keys.claim(staff.id, key, _payload("refund", found, body)) as claim:
        if claim.stored:
            return claim.stored.replay()
        async with transactions() as tx:
            order = await load(tx, found)
            _require_chargeable(body.amount, order.currency)
            return_id = new_order_id()
            with as_problems():
                events = returning.give_back(
                    order,
                    return_id,
                    tx.now,
                    wanted=_pieces(body.lines or []),
                    amount=body.amount,
                    restock=body.restock,
                )
            tx.publish(*events)
            one = returning.find(order, return_id)
            _audit(tx, staff, order, "refund", one, body.reason)
            answer = schemas.response(schemas.return_view(one, order.currency), 201)
            await claim.settle(tx.session, 201, bytes(answer.body), {"Content-Type": answer.media_type or ""})
    return answer


@router.post(
    "/v1/orders/{order}/refunds/{refund_id}/settle",
    response_model=schemas.OrderView,
    summary="Settle a failed refund in another way",
    responses={status: RESPONSES[status] for status in (404, 409)},
)
async def settle_refund(
    ref: OrderRef,
    refund_id: UUID,
    body: SettleRefund,
    staff: Refunder,
    orders: ProvidedOrders,
    transactions: ProvidedTransactions,
) -> Response:
    """For staff, after they have paid the shopper in another way, for example by bank transfer. The refund is
    not made again, and `shop saga list` no longer shows it. Idempotent."""
    found = visible(await orders.owner(ref), staff, REFUND)
    async with transactions() as tx:
        order = await load(tx, found)
        with as_problems():
            events = returning.settle(order, refund_id, tx.now)
        if events:
            tx.publish(*events)
            about = {"refund_id": str(refund_id), "amount": events[0].amount.amount}
            audit(tx, staff, order, "settle refund", body.reason, about)
    return schemas.response(schemas.order_view(visible(await orders.find(order.order_id), staff, REFUND)))


@router.get(
    "/v1/orders/{order}/audit",
    response_model=schemas.OrderAudit,
    summary="Read the audit of an order",
    responses={404: RESPONSES[404]},
)
async def read_audit(ref: OrderRef, staff: Reader, orders: ProvidedOrders) -> Response:
    """For staff: what staff did to the order, who, when and why."""
    order = visible(await orders.owner(ref), staff)
    return schemas.response(schemas.audit_view(await orders.staff_actions(order["order_id"])))


def _is_staff(found: Row, caller: Principal) -> bool:
    if REFUND in caller.scopes:
        return True
    if found["shopper_id"] != caller.id:
        raise Forbidden("Only the customer who placed the order can return it.")
    return False


def _pieces(lines: list[Line]) -> list[Pieces]:
    return [Pieces(line.sku, line.quantity) for line in lines]


def _payload(what: str, found: Row, body: Body) -> bytes:
    """What an idempotency key is compared by: the same body for another order is another request."""
    return f"{what} {found['order_id']} {body.model_dump_json()}".encode()


def _require_chargeable(amount: int | None, code: str) -> None:
    currency = CURRENCIES.get(code)
    if amount is not None and currency is not None and amount % currency.step:
        wrong = {"pointer": "/amount", "detail": f"must be a multiple of {currency.step} in {code}"}
        raise Unprocessable("The request is not valid.", errors=[wrong])


def _audit(
    tx: SqlTx, staff: Principal, order: Order, action: str, one: Return | None, why: str | None = None
) -> None:
    about: dict[str, Any] = {}
    if one is not None:
        about = {"return_id": str(one.return_id), "amount": one.amount}
        about["lines"] = {line.sku: line.quantity for line in one.lines}
    audit(tx, staff, order, action, why, about)
