"""The history of the load."""

from lab.chaos.history import Account, Checkout, History, ProviderAction, ReturnRequest


def test_what_happens_besides_plain_checkouts_is_counted() -> None:
    plain = Checkout("1", "t", "a@example.com", "pm_card_visa", order_ids={"1"})
    asked = Checkout("2", "u", "b@example.com", "pm_card_visa", decision="leave", order_ids={"2"})
    history = History(
        [plain, asked],
        [Account("b@example.com", "secret", "u")],
        [
            ReturnRequest("r", "1", "return", {}, plain, {"back"}, received=True),
            ReturnRequest("s", "1", "return", {}, plain, {"requested"}),
            ReturnRequest("g", "1", "staff", {}, plain, {"granted"}),
        ],
        [ProviderAction("1", "dispute", "dp_1")],
    )
    assert history.counts() == {
        "left at the bank": 1,
        "logged in": 1,
        "returns": 1,
        "refunds by staff": 1,
        "disputes": 1,
    }


def test_nobody_goes_to_the_bank_from_another_tab() -> None:
    asked = Checkout("1", "t", "a@example.com", "pm_card_visa", decision="complete")
    assert asked.in_another_tab("2").decision == "leave"


def test_an_order_belongs_to_its_guest_until_the_login_was_answered() -> None:
    account = Account("b@example.com", "secret", "guest's")
    mine = Checkout("1", "guest's", "a@example.com", "pm_card_visa", account=account)
    assert mine.bearer == "guest's"
    account.token = "hers"
    assert mine.bearer == "hers"
