"""The endpoints to fulfil, return and refund paid orders."""

from typing import Annotated
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Response

from chassis.http.idempotency import IdempotencyKey, IdempotencyKeys, KeyClaim
from chassis.http.identity import Caller, Principal, require
from chassis.http.problems import RESPONSES, Body, Forbidden
from chassis.http.provided import Provided
from chassis.storage.tx import SqlTx
from contracts import CURRENCIES
from order import returning, schemas, views
from order.api import READ_ALL, REFUND, OrderRef, ProvidedOrders, visible
from order.changing import Changing, audit
from order.domain import Order
from order.ids import new_order_id
from order.pricing import Wanted
from order.problems import invalid
from order.returns import Return, ReturnPeriod
from order.returns_schemas import (
    OrderAudit,
    RefundOrder,
    RejectReturn,
    RequestReturn,
    ReturnLine,
    Returns,
    ReturnView,
    SettleRefund,
)
from order.store import Row

router = APIRouter(tags=["returns"])

FULFIL = "orders:fulfil"

ProvidedKeys = Provided[IdempotencyKeys]
Warehouse = Annotated[Principal, Depends(require(FULFIL))]
Refunder = Annotated[Principal, Depends(require(REFUND))]
Reader = Annotated[Principal, Depends(require(READ_ALL))]


@router.post(
    "/v1/orders/{order}/fulfil",
    response_model=schemas.OrderView,
    summary="Mark an order as fulfilled",
    responses={status: RESPONSES[status] for status in (404, 409)},
)
async def fulfil_order(change: Changing, staff: Warehouse) -> Response:
    """For staff, when the goods were shipped. From then on the order can be returned, not cancelled.
    Idempotent."""
    found = await change.find(staff, FULFIL)
    async with change.of(found) as (tx, order):
        if events := order.fulfil(tx.now):
            tx.publish(*events)
            audit(tx, staff, order, "fulfil")
    return await change.view(order, staff, FULFIL)


@router.get(
    "/v1/orders/{order}/returns",
    response_model=Returns,
    summary="List an order's returns and refunds",
    responses={404: RESPONSES[404]},
)
async def list_returns(
    ref: OrderRef, caller: Caller, orders: ProvidedOrders, period: Provided[ReturnPeriod]
) -> Response:
    """The oldest first, and until when the shopper can request another."""
    return views.response(views.returns_view(visible(await orders.find(ref), caller), period))


@router.post(
    "/v1/orders/{order}/returns",
    status_code=201,
    response_model=ReturnView,
    summary="Request a return",
    responses={status: RESPONSES[status] for status in (404, 409)},
)
async def request_return(
    change: Changing,
    body: RequestReturn,
    key: IdempotencyKey,
    caller: Caller,
    keys: ProvidedKeys,
    period: Provided[ReturnPeriod],
) -> Response:
    """Of lines of a fulfilled order, within the shop's return period; staff can request it at any time. It is
    refunded once the goods have arrived. Not more pieces than were bought, less those returned or
    requested."""
    found = await change.find(caller, REFUND)
    is_staff = _is_staff(found, caller)
    async with keys.claim(caller.id, key, _payload("return", found, body)) as claim:
        if claim.stored:
            return claim.stored.replay()
        async with change.of(found) as (tx, order):
            within = None if is_staff else period
            one = returning.request(order, new_order_id(), _pieces(body.lines), tx.now, within)
            if is_staff:
                audit(tx, caller, order, "request return", one)
            answer = await _created(one, order, claim, tx)
    return answer


@router.post(
    "/v1/orders/{order}/returns/{return_id}/receive",
    response_model=ReturnView,
    summary="Mark a return as received",
    responses={status: RESPONSES[status] for status in (404, 409)},
)
async def receive_return(change: Changing, return_id: UUID, staff: Warehouse) -> Response:
    """For staff, when the goods have arrived: they are restocked and refunded, once. Idempotent."""
    found = await change.find(staff, FULFIL)
    async with change.of(found) as (tx, order):
        events = returning.receive(order, return_id, tx.now)
        one = returning.find(order, return_id)
        if events:
            tx.publish(*events)
            audit(tx, staff, order, "receive return", one)
    return views.response(views.return_view(one, order.currency))


@router.post(
    "/v1/orders/{order}/returns/{return_id}/reject",
    response_model=ReturnView,
    summary="Reject a requested return",
    responses={status: RESPONSES[status] for status in (404, 409)},
)
async def reject_return(change: Changing, return_id: UUID, body: RejectReturn, staff: Warehouse) -> Response:
    """For staff, before it is received. Idempotent."""
    found = await change.find(staff, FULFIL)
    async with change.of(found) as (tx, order):
        changed = returning.close(order, return_id, "rejected", body.reason)
        one = returning.find(order, return_id)
        if changed:
            audit(tx, staff, order, "reject return", one, body.reason)
    return views.response(views.return_view(one, order.currency))


@router.post(
    "/v1/orders/{order}/returns/{return_id}/withdraw",
    response_model=ReturnView,
    summary="Withdraw a requested return",
    responses={status: RESPONSES[status] for status in (403, 404, 409)},
)
async def withdraw_return(change: Changing, return_id: UUID, caller: Caller) -> Response:
    """Before it is received; the pieces can be returned again. Idempotent."""
    found = await change.find(caller, REFUND)
    is_staff = _is_staff(found, caller)
    async with change.of(found) as (tx, order):
        changed = returning.close(order, return_id, "withdrawn")
        one = returning.find(order, return_id)
        if changed and is_staff:
            audit(tx, caller, order, "withdraw return", one)
    return views.response(views.return_view(one, order.currency))


@router.post(
    "/v1/orders/{order}/refunds",
    status_code=201,
    response_model=ReturnView,
    summary="Refund an order",
    responses={status: RESPONSES[status] for status in (404, 409)},
)
async def refund_order(
    change: Changing, body: RefundOrder, key: IdempotencyKey, staff: Refunder, keys: ProvidedKeys
) -> Response:
    """For staff: refund all that is left of a paid order, fulfilled or not, the price of some lines, or an
    amount. Not more than the order's total in all."""
    found = await change.find(staff, REFUND)
    async with keys.claim(staff.id, key, _payload("refund", found, body)) as claim:
        if claim.stored:
            return claim.stored.replay()
        async with change.of(found) as (tx, order):
            step = CURRENCIES[order.currency].step if order.currency in CURRENCIES else 1
            if body.amount is not None and body.amount % step:
                raise invalid("/amount", f"must be a multiple of {step} in {order.currency}")
            return_id, wanted = new_order_id(), _pieces(body.lines or [])
            events = returning.refund_by_staff(
                order, return_id, tx.now, wanted=wanted, amount=body.amount, restock=body.restock
            )
            tx.publish(*events)
            one = returning.find(order, return_id)
            audit(tx, staff, order, "refund", one, body.reason)
            answer = await _created(one, order, claim, tx)
    return answer


@router.post(
    "/v1/orders/{order}/refunds/{refund_id}/settle",
    response_model=schemas.OrderView,
    summary="Settle a failed refund in another way",
    responses={status: RESPONSES[status] for status in (404, 409)},
)
async def settle_refund(change: Changing, refund_id: UUID, body: SettleRefund, staff: Refunder) -> Response:
    """For staff, after they have paid the shopper in another way, for example by bank transfer. The refund is
    not made again, and `shop saga list` no longer shows it. Idempotent."""
    found = await change.find(staff, REFUND)
    async with change.of(found) as (tx, order):
        if events := returning.settle(order, refund_id, tx.now):
            tx.publish(*events)
            about = {"refund_id": str(refund_id), "amount": events[0].amount.amount}
            audit(tx, staff, order, "settle refund", why=body.reason, about=about)
    return await change.view(order, staff, REFUND)


@router.get(
    "/v1/orders/{order}/audit",
    response_model=OrderAudit,
    summary="Read the audit of an order",
    responses={404: RESPONSES[404]},
)
async def read_audit(ref: OrderRef, staff: Reader, orders: ProvidedOrders) -> Response:
    """For staff: what staff did to the order, who, when and why."""
    order = visible(await orders.owner(ref), staff)
    actions = await orders.staff_actions(order["order_id"])
    return views.response({"items": [{**row, "about": orjson.Fragment(row["about"])} for row in actions]})


async def _created(one: Return, order: Order, claim: KeyClaim, tx: SqlTx) -> Response:
    """The response with the new return, stored under the idempotency key."""
    answer = views.response(views.return_view(one, order.currency), 201)
    await claim.settle(tx.session, 201, bytes(answer.body), {"Content-Type": answer.media_type or ""})
    return answer


def _is_staff(found: Row, caller: Principal) -> bool:
    if REFUND in caller.scopes:
        return True
    if found["shopper_id"] != caller.id:
        raise Forbidden("Only the customer who placed the order can return it.")
    return False


def _pieces(lines: list[ReturnLine]) -> list[Wanted]:
    return [Wanted(line.sku, line.quantity) for line in lines]


def _payload(what: str, found: Row, body: Body) -> bytes:
    """What an idempotency key is compared by: the same body for another order is another request."""
    return f"{what} {found['order_id']} {body.model_dump_json()}".encode()
