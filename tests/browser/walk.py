"""Every page of the shop, in the states that a shopper meets, one after the other."""

from collections.abc import AsyncIterator

from tests.browser.visitor import ADDRESS, BANK_ASKS, IS_DECLINED, Visitor

SKU = "LANTERN-RED"
FEW = "KNIFE-CHEF"  # three pieces


async def pages(visitor: Visitor) -> AsyncIterator[str]:
    """Yields the page's name whenever one more is open. In any language: what is waited for are elements."""
    for walk in (_catalogue, _cart, _checkout, _orders, _accounts, _returns):
        async for name in walk(visitor):
            yield name


async def _catalogue(visitor: Visitor) -> AsyncIterator[str]:
    for name, path in {
        "home": "/",
        "list": "/search",
        "category": "/c/kitchen",
        "search": "/search?q=lanten&in_stock=true",
        "nothing-found": "/search?q=xylophone",
        "product": f"/p/{SKU}",
        "product-few": f"/p/{FEW}",
    }.items():
        await visitor.open(path)
        yield name
    if visitor.look.javascript:
        await visitor.page.locator("#q").press_sequentially("lanten")
        await visitor.page.locator("#suggestions").wait_for()
        yield "suggestions"
    await visitor.page.goto("/nowhere")
    yield "not-found"


async def _cart(visitor: Visitor) -> AsyncIterator[str]:
    await visitor.open("/cart")
    yield "cart-empty"
    await visitor.open("/orders")
    yield "orders-empty"
    await visitor.put_into_cart(FEW, 3)
    yield "drawer"
    await visitor.put_into_cart(SKU, 2)
    await visitor.open("/cart")
    yield "cart"
    await visitor.change_quantity(FEW, 5)
    yield "cart-short"
    await visitor.remove(FEW)
    yield "cart-removed"


async def _checkout(visitor: Visitor) -> AsyncIterator[str]:
    await visitor.open("/checkout")
    yield "checkout"
    await visitor.press_order_button()
    await visitor.page.locator(".errors").wait_for()
    yield "checkout-errors"


async def _orders(visitor: Visitor) -> AsyncIterator[str]:
    await visitor.fill_in(IS_DECLINED)
    await visitor.place_order()
    await visitor.until_ended()
    yield "order-declined"
    await visitor.order(SKU, BANK_ASKS)
    await visitor.bank_link.wait_for()
    yield "order-bank"
    await visitor.open(f"{visitor.path}?how=1")
    yield "order-lanes"
    await visitor.confirm_with_the_bank()
    await visitor.until_ended()
    yield "order-paid"
    await visitor.open("/orders")
    yield "orders"


async def _accounts(visitor: Visitor) -> AsyncIterator[str]:
    for name, path in {
        "login": "/login",
        "register": "/register",
        "reset": "/reset",
        "reset-new": "/reset/new",
        "confirm": "/confirm",
        "find-order": "/orders/find",
        "claim": "/claim",
    }.items():
        await visitor.open(path)
        yield name
    await visitor.open("/register")
    await visitor.send("/register", email="nobody", password="short")
    yield "register-errors"
    await visitor.register()
    yield "registered"
    for name, path in {
        "account": "/account",
        "password": "/account/password",
        "deletion": "/account/deletion",
        "addresses-empty": "/account/addresses",
    }.items():
        await visitor.open(path)
        yield name
    await visitor.page.locator("main .more a.button").click()
    await visitor.page.locator("#street").wait_for()
    yield "address"
    for name, value in ADDRESS.items():
        if name != "email":
            await visitor.page.locator(f"main [name={name}]").fill(value)
    await visitor.page.locator("main form button.button").click()
    await visitor.page.locator(".addresses li").wait_for()
    yield "addresses"


async def _returns(visitor: Visitor) -> AsyncIterator[str]:
    """Of the order that was paid as a guest, which came along into the account."""
    await visitor.open("/orders")
    await visitor.page.locator("main tbody a").first.click()
    await visitor.until_visible(visitor.page.locator("main .pieces input"))
    yield "order-shipped"
    await visitor.page.locator("main .pieces input").fill("1")
    await visitor.page.locator("main #return button").click()
    await visitor.page.locator("main .entries li").wait_for()
    yield "order-return"
