"""Cart's part in the saga: remove what was bought, merge a guest's cart into the account's at login, and
empty that of a deleted account."""

from cart.domain import Cart, TakenOut
from chassis.saga.steps import Steps
from chassis.saga.topology import Participant
from chassis.saga.tx import Tx
from contracts import GuestMerged, OrderPaid, UserDeleted

steps = Steps("cart")
participant = Participant("cart", steps=[steps])


@steps.on(OrderPaid, locks=lambda event: [(TakenOut, event.order_id), (Cart, event.shopper_id)])
async def remove_bought(event: OrderPaid, tx: Tx) -> None:
    """Remove what was bought from the shopper's cart, or from the account's that it was merged into; once."""
    if await tx.get(TakenOut, event.order_id) is not None:
        return
    tx.add(TakenOut(event.order_id, tx.now))
    cart = await tx.get(Cart, event.shopper_id)
    if cart is None:
        return
    removed = cart.remove({line.sku: line.quantity for line in event.lines})
    cart.record_bought(event.order_id)
    if cart.merged_into is not None and (account := await tx.get(Cart, cart.merged_into)) is not None:
        account.remove(removed)
        account.record_bought(event.order_id)


@steps.on(GuestMerged, locks=lambda event: [(Cart, event.guest_id), (Cart, event.user_id)])
async def move_guest_items(event: GuestMerged, tx: Tx) -> None:
    """Add the guest's items to the account's cart, up to its limits; once."""
    guest = await tx.get(Cart, event.guest_id)
    if guest is None:  # a tombstone: a cart that the guest fills later must not take anything
        tx.add(Cart(event.guest_id, merged_into=event.user_id))
        return
    if guest.merged_into is not None:
        return
    account = await tx.get(Cart, event.user_id)
    if account is None:
        account = Cart(event.user_id)
        tx.add(account)
    account.merge(guest)


@steps.on(UserDeleted, locks=lambda event: [(Cart, event.user_id)])
async def empty_deleted(event: UserDeleted, tx: Tx) -> None:
    """Empty the cart of an account that was deleted."""
    cart = await tx.get(Cart, event.user_id)
    if cart is not None:
        cart.items = {}
