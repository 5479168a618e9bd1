"""Where orders are shipped to: a company's address with every part, and one of a place without postcodes."""

from scenarios.mails import mails, text_of
from scenarios.play import Outcome, Play, scenario

BOUGHT = Outcome("paid", captured=1000, mails=("receipt",), taken=2)
_COMPANY = {
    "name": "Ada Neri",
    "company": "Macchine S.r.l.",
    "street": "Via Roma 1",
    "line2": "Interno 4",
    "city": "Modena",
    "state": "MO",
    "postcode": "41121",
    "country": "IT",
    "phone": "+39 059 555-0100 int. 7",
    "vat_id": "IT12345670017",
}
_HONG_KONG = {"name": "Li Na", "street": "8 Harbour Road", "city": "Wan Chai", "country": "HK"}


@scenario(BOUGHT)
async def shipped_to_a_company(play: Play) -> None:
    """A company's address with every part: order and receipt show it, and no event has it in plain text."""
    tap = await play.broker.watch()
    order_id = await _buy(play, _COMPANY)
    order = await play.shopper.order(order_id)
    play.claim("the order shows every part", order["shipping"] == _COMPANY)
    await play.until_mailed("receipt")
    [receipt] = await mails(play.http, play.shop.mailbox_url, order_id)
    if receipt.id:
        lines = (await text_of(play.http, play.shop.mailbox_url, receipt)).splitlines()
        labelled = {"phone": f"Phone: {_COMPANY['phone']}", "vat_id": f"VAT ID: {_COMPANY['vat_id']}"}
        play.claim("the receipt has a line for each part", {*(_COMPANY | labelled).values()} <= {*lines})
    else:
        play.claim("the receipt is not read: this mail catcher lists mails and does not show them", True)
    bodies = [message.body.decode() for message in tap.messages]
    play.claim("no event has it in plain text", not any(_COMPANY["company"] in body for body in bodies))


@scenario(BOUGHT)
async def shipped_without_a_postcode(play: Play) -> None:
    """To Hong Kong, which has no postcodes; the same address in Britain is refused for want of one."""
    await play.fill_cart()
    refused = await play.shopper.try_check_out(shipping=_HONG_KONG | {"country": "GB"})
    pointers = [error["pointer"] for error in refused.json()["errors"]]
    play.claim("a British address needs a postcode", pointers == ["/shipping/postcode"])
    order_id = await _buy(play, _HONG_KONG)
    order = await play.shopper.order(order_id)
    play.claim("the postcode is empty", order["shipping"]["postcode"] == "")


async def _buy(play: Play, shipping: dict[str, str]) -> str:
    order_id = await play.place_order(shipping=shipping)
    await play.until("paid")
    return order_id
