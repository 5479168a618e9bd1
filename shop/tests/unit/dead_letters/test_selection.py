import pytest

from shop.dead_letters.deliveries import Listing, find, queues_of, select
from shop.errors import ShopError

from ...conftest import dead_letter

LETTERS = tuple(dead_letter(queue=queue, body=b"%d" % n) for n in range(300) for queue in ("order", "cart"))
SEEN = Listing(LETTERS, {})


def test_a_prefix_of_an_id_is_enough() -> None:
    for one in LETTERS[:20]:
        assert find(SEEN, one.id[:12].upper()) == one


def test_an_ambiguous_prefix_is_refused_with_the_candidates() -> None:
    alike = Listing((LETTERS[0], LETTERS[0]), {})
    with pytest.raises(
        ShopError, match=rf"is ambiguous \({LETTERS[0].id} \(order\), .*\): give more characters"
    ):
        find(alike, LETTERS[0].id[:6])


@pytest.mark.parametrize("prefix", ["", "a", LETTERS[0].id[:3]])
def test_a_prefix_that_is_too_short_is_refused_though_it_may_match(prefix: str) -> None:
    with pytest.raises(ShopError, match="give at least 4 characters"):
        find(Listing(LETTERS[:1], {}), prefix)


def test_an_unknown_id_is_refused_with_where_to_look() -> None:
    with pytest.raises(ShopError, match=r"no dead letter ffff: `shop dead-letters list` shows them$"):
        find(Listing((), {}), "ffff")
    with pytest.raises(ShopError, match=r"; there are more than --limit$"):
        find(Listing((), {"order": 5}), "ffff")


def test_all_are_selected_or_all_of_a_service_with_all_its_queues() -> None:
    kept = dead_letter(queue="order.timeline")
    seen = Listing((*LETTERS, kept), {})
    assert select(seen, [], None, True) == [*LETTERS, kept]
    assert {one.queue for one in select(seen, [], "order", True)} == {"order", "order.timeline"}


def test_a_dead_letter_named_twice_is_selected_once() -> None:
    one = LETTERS[0]
    assert select(SEEN, [one.id, one.id[:10]], None, False) == [one]


@pytest.mark.parametrize(
    ("ids", "service", "everything"),
    [
        ([], None, False),
        ([LETTERS[0].id], None, True),
        ([], "order", False),
        ([LETTERS[0].id], "order", False),
    ],
)
def test_an_unclear_selection_is_refused(ids: list[str], service: str | None, everything: bool) -> None:
    with pytest.raises(ShopError, match="give ids of dead letters, or --all, or --all and --service"):
        select(SEEN, ids, service, everything)


def test_an_empty_selection_is_refused() -> None:
    with pytest.raises(ShopError, match="there are no dead letters of payment"):
        select(SEEN, [], "payment", True)


def test_a_service_that_consumes_nothing_is_refused_with_those_that_do() -> None:
    with pytest.raises(
        ShopError, match="auth consumes no events: choose one of order, product, payment, cart, notif"
    ):
        queues_of("auth")
