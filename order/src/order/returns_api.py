"""What becomes of a paid order, over HTTP: it is fulfilled and returned, and staff refund it."""

from typing import Annotated, Any, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import Field, model_validator

from chassis.http.idempotency import IdempotencyKey, IdempotencyKeys
from chassis.http.identity import Caller, Principal, require
from chassis.http.problems import RESPONSES, Body, Forbidden, Unprocessable
from chassis.http.provided import Provided
from chassis.storage.database import SqlTx
from contracts import CURRENCIES, Sku
from order import returning, views
from order.api import ANYBODYS, REFUND, Nothing, Read, Transact, Which, Why, load, visible
from order.domain import Order
from order.ids import new_order_id
from order.refusals import told
from order.returns import Pieces, Return, ReturnPeriod
from order.staff import StaffAction
from order.store import Row

router = APIRouter(tags=["returns"])

FULFIL = "orders:fulfil"

Keys = Provided[IdempotencyKeys]
Warehouse = Annotated[Principal, Depends(require(FULFIL))]
Refunder = Annotated[Principal, Depends(require(REFUND))]
Reader = Annotated[Principal, Depends(require(ANYBODYS))]


class Line(Body):
    """So many pieces of one of the order's lines."""

    sku: Sku
    quantity: Annotated[int, Field(ge=1, le=10_000)]


Lines = Annotated[list[Line], Field(min_length=1, max_length=1000)]


class RequestReturn(Body):
    """What is to come back."""

    lines: Lines


class RejectReturn(Body):
    """Why it is not taken back; the shopper sees it."""

    reason: Why


class SettleRefund(Body):
    """How the shopper was given her money otherwise."""

    reason: Why


class RefundOrder(Body):
    """What is given back: one of `whole`, `lines` and `amount`, and why."""

    reason: Why
    whole: Annotated[Literal[True] | None, Field(description="All that is left.")] = None
    lines: Annotated[Lines | None, Field(description="What these pieces cost, but no more than is left.")] = (
        None
    )
    amount: Annotated[
        int | None, Field(ge=1, le=99_999_999, description="So many minor units of the order's currency.")
    ] = None
    restock: Annotated[bool, Field(description="Put the lines back on the shelf.")] = False

    @model_validator(mode="after")
    def _says_how_much(self) -> Self:
        if sum(part is not None for part in (self.whole, self.lines, self.amount)) != 1:
            raise ValueError("must have exactly one of whole, lines and amount")
        if self.restock and self.lines is None:
            raise ValueError("restock goes with lines")
        return self


@router.post(
    "/v1/orders/{order}/fulfil",
    response_model=views.OrderView,
    summary="Note that an order has left for its shopper",
    responses={status: RESPONSES[status] for status in (404, 409)},
)
async def fulfil_order(
    which: Which, staff: Warehouse, orders: Read, transactions: Transact, _: Nothing = None
) -> Response:
    """For staff. From here on the order is returned, not cancelled. Idempotent."""
    found = visible(await orders.owner(which), staff, FULFIL)
    async with transactions() as tx:
        order = await load(tx, found)
        with told():
            said = order.fulfil(tx.now)
        if said:
            tx.publish(*said)
            _account(tx, staff, order, "fulfil", None)
    return views.answer(views.order_view(visible(await orders.find(order.order_id), staff, FULFIL)))


@router.get(
    "/v1/orders/{order}/returns",
    response_model=views.Returns,
    summary="List what goes back of an order",
    responses={404: RESPONSES[404]},
)
async def list_returns(which: Which, caller: Caller, orders: Read) -> Response:
    """Returns and refunds, the oldest first."""
    return views.answer(views.returns_view(visible(await orders.find(which), caller)))


@router.post(
    "/v1/orders/{order}/returns",
    status_code=201,
    response_model=views.ReturnView,
    summary="Request to return some of an order",
    responses={status: RESPONSES[status] for status in (404, 409, 422)},
)
async def request_return(
    which: Which,
    body: RequestReturn,
    key: IdempotencyKey,
    caller: Caller,
    orders: Read,
    transactions: Transact,
    keys: Keys,
    period: Provided[ReturnPeriod],
) -> Response:
    """Of an order that was fulfilled, within the shop's period; staff may request it at any time. The money
    comes back once the goods are here. Never more than was bought less what went back or is requested to."""
    found = visible(await orders.owner(which), caller, REFUND)
    is_staff = _is_staff(found, caller)
    async with keys.claim(caller.id, key, _payload("return", found, body)) as claim:
        if claim.stored:
            return claim.stored.replay()
        async with transactions() as tx:
            order = await load(tx, found)
            with told():
                one = returning.request(
                    order, new_order_id(), _pieces(body.lines), tx.now, None if is_staff else period
                )
            if is_staff:
                _account(tx, caller, order, "request return", one)
            answer = views.answer(views.return_view(one, order.currency), 201)
            await claim.settle(tx.session, 201, bytes(answer.body), {"Content-Type": answer.media_type or ""})
    return answer


@router.post(
    "/v1/orders/{order}/returns/{return_id}/receive",
    response_model=views.ReturnView,
    summary="Note that the goods of a return are here",
    responses={status: RESPONSES[status] for status in (404, 409)},
)
async def receive_return(
    which: Which, return_id: UUID, staff: Warehouse, orders: Read, transactions: Transact, _: Nothing = None
) -> Response:
    """For staff. The goods are restocked and their price is refunded, each once. Idempotent."""
    found = visible(await orders.owner(which), staff, FULFIL)
    async with transactions() as tx:
        order = await load(tx, found)
        with told():
            said = returning.receive(order, return_id, tx.now)
        one = returning.find(order, return_id)
        if said:
            tx.publish(*said)
            _account(tx, staff, order, "receive return", one)
    return views.answer(views.return_view(one, order.currency))


@router.post(
    "/v1/orders/{order}/returns/{return_id}/reject",
    response_model=views.ReturnView,
    summary="Refuse a return that was requested",
    responses={status: RESPONSES[status] for status in (404, 409)},
)
async def reject_return(
    which: Which,
    return_id: UUID,
    body: RejectReturn,
    staff: Warehouse,
    orders: Read,
    transactions: Transact,
) -> Response:
    """For staff, before it is received. Idempotent."""
    found = visible(await orders.owner(which), staff, FULFIL)
    async with transactions() as tx:
        order = await load(tx, found)
        with told():
            changed = returning.close(order, return_id, "rejected", body.reason)
        one = returning.find(order, return_id)
        if changed:
            _account(tx, staff, order, "reject return", one, body.reason)
    return views.answer(views.return_view(one, order.currency))


@router.post(
    "/v1/orders/{order}/returns/{return_id}/withdraw",
    response_model=views.ReturnView,
    summary="Withdraw a return that was requested",
    responses={status: RESPONSES[status] for status in (403, 404, 409)},
)
async def withdraw_return(
    which: Which, return_id: UUID, caller: Caller, orders: Read, transactions: Transact, _: Nothing = None
) -> Response:
    """Before it is received; the pieces can be returned again. Idempotent."""
    found = visible(await orders.owner(which), caller, REFUND)
    is_staff = _is_staff(found, caller)
    async with transactions() as tx:
        order = await load(tx, found)
        with told():
            changed = returning.close(order, return_id, "withdrawn")
        one = returning.find(order, return_id)
        if changed and is_staff:
            _account(tx, caller, order, "withdraw return", one)
    return views.answer(views.return_view(one, order.currency))


@router.post(
    "/v1/orders/{order}/refunds",
    status_code=201,
    response_model=views.ReturnView,
    summary="Give money back",
    responses={status: RESPONSES[status] for status in (404, 409, 422)},
)
async def refund_order(
    which: Which,
    body: RefundOrder,
    key: IdempotencyKey,
    staff: Refunder,
    orders: Read,
    transactions: Transact,
    keys: Keys,
) -> Response:
    """For staff: of a paid order, fulfilled or not, all that is left, for lines, or an amount. Never more is
    given back than the order's total."""
    found = visible(await orders.owner(which), staff, REFUND)
    async with keys.claim(staff.id, key, _payload("refund", found, body)) as claim:
        if claim.stored:
            return claim.stored.replay()
        async with transactions() as tx:
            order = await load(tx, found)
            _refuse_uncountable(body.amount, order.currency)
            return_id = new_order_id()
            with told():
                said = returning.give_back(
                    order,
                    return_id,
                    tx.now,
                    wanted=_pieces(body.lines or []),
                    amount=body.amount,
                    restock=body.restock,
                )
            tx.publish(*said)
            one = returning.find(order, return_id)
            _account(tx, staff, order, "refund", one, body.reason)
            answer = views.answer(views.return_view(one, order.currency), 201)
            await claim.settle(tx.session, 201, bytes(answer.body), {"Content-Type": answer.media_type or ""})
    return answer


@router.post(
    "/v1/orders/{order}/refunds/{refund_id}/settle",
    response_model=views.OrderView,
    summary="Note that a refund that came back was settled otherwise",
    responses={status: RESPONSES[status] for status in (404, 409)},
)
async def settle_refund(
    which: Which, refund_id: UUID, body: SettleRefund, staff: Refunder, orders: Read, transactions: Transact
) -> Response:
    """For staff, who have given the shopper her money another way, by bank transfer for example. It is not
    made again, and `shop saga list` names it no more. Idempotent."""
    found = visible(await orders.owner(which), staff, REFUND)
    async with transactions() as tx:
        order = await load(tx, found)
        with told():
            said = returning.settle(order, refund_id, tx.now)
        if said:
            tx.publish(*said)
            about = {"refund_id": str(refund_id), "amount": said[0].amount.amount}
            tx.add(
                StaffAction(
                    new_order_id(), order.order_id, "settle refund", staff.id, tx.now, body.reason, about
                )
            )
    return views.answer(views.order_view(visible(await orders.find(order.order_id), staff, REFUND)))


@router.get(
    "/v1/orders/{order}/audit",
    response_model=views.OrderAudit,
    summary="Read what staff did to an order",
    responses={404: RESPONSES[404]},
)
async def read_audit(which: Which, staff: Reader, orders: Read) -> Response:
    """For staff: who did what, when, and why."""
    order = visible(await orders.owner(which), staff)
    return views.answer(views.audit_view(await orders.staff_actions(order["order_id"])))


def _is_staff(found: Row, caller: Principal) -> bool:
    if REFUND in caller.scopes:
        return True
    if found["shopper_id"] != caller.id:
        raise Forbidden("Only the customer whose order it is can return it.")
    return False


def _pieces(lines: list[Line]) -> list[Pieces]:
    return [Pieces(line.sku, line.quantity) for line in lines]


def _payload(what: str, found: Row, body: Body) -> bytes:
    """What a key stands for: the same body for another order is another request."""
    return f"{what} {found['order_id']} {body.model_dump_json()}".encode()


def _refuse_uncountable(amount: int | None, code: str) -> None:
    currency = CURRENCIES.get(code)
    if amount is not None and currency is not None and amount % currency.step:
        wrong = {"pointer": "/amount", "detail": f"must be a multiple of {currency.step} in {code}"}
        raise Unprocessable("The request is not valid.", errors=[wrong])


def _account(
    tx: SqlTx, staff: Principal, order: Order, action: str, one: Return | None, why: str | None = None
) -> None:
    about: dict[str, Any] = {}
    if one is not None:
        about = {"return_id": str(one.return_id), "amount": one.amount}
        about["lines"] = {line.sku: line.quantity for line in one.lines}
    tx.add(StaffAction(new_order_id(), order.order_id, action, staff.id, tx.now, why, about))
