import pytest

from shop.dead_letters.choosing import chosen, find, queues_of
from shop.dead_letters.holding import Seen
from shop.errors import ShopError

from .conftest import letter

LETTERS = tuple(letter(queue=queue, body=b"%d" % n) for n in range(300) for queue in ("order", "cart"))
SEEN = Seen(LETTERS, {})


def test_the_beginning_of_an_id_is_enough() -> None:
    for one in LETTERS[:20]:
        assert find(SEEN, one.id[:12].upper()) == one


def test_a_beginning_that_fits_several_is_refused_with_their_names() -> None:
    alike = Seen((LETTERS[0], LETTERS[0]), {})
    with pytest.raises(ShopError, match=rf"may be {LETTERS[0].id} \(order\), .*: give more of it"):
        find(alike, LETTERS[0].id[:6])


@pytest.mark.parametrize("prefix", ["", "a", LETTERS[0].id[:3]])
def test_a_beginning_that_is_too_short_is_refused_though_it_may_fit(prefix: str) -> None:
    with pytest.raises(ShopError, match="give at least 4 signs"):
        find(Seen(LETTERS[:1], {}), prefix)


def test_an_unknown_letter_is_told_with_where_to_look() -> None:
    with pytest.raises(
        ShopError, match=r"there is no dead letter ffff: `shop dead-letters list` shows them$"
    ):
        find(Seen((), {}), "ffff")
    with pytest.raises(ShopError, match=r"; there are more beyond --limit$"):
        find(Seen((), {"order": 5}), "ffff")


def test_all_are_chosen_or_all_of_a_service_whatever_queues_it_has() -> None:
    kept = letter(queue="order.timeline")
    seen = Seen((*LETTERS, kept), {})
    assert chosen(seen, [], None, True) == [*LETTERS, kept]
    assert {one.queue for one in chosen(seen, [], "order", True)} == {"order", "order.timeline"}


def test_a_letter_named_twice_is_chosen_once() -> None:
    one = LETTERS[0]
    assert chosen(SEEN, [one.id, one.id[:10]], None, False) == [one]


@pytest.mark.parametrize(
    ("ids", "service", "everything"),
    [
        ([], None, False),
        ([LETTERS[0].id], None, True),
        ([], "order", False),
        ([LETTERS[0].id], "order", False),
    ],
)
def test_a_choice_that_is_not_clear_is_refused(ids: list[str], service: str | None, everything: bool) -> None:
    with pytest.raises(ShopError, match="name letters, or say --all, or --all and --service"):
        chosen(SEEN, ids, service, everything)


def test_where_there_is_nothing_nothing_can_be_chosen() -> None:
    with pytest.raises(ShopError, match="there are no dead letters of payment"):
        chosen(SEEN, [], "payment", True)


def test_a_service_that_hears_nothing_is_answered_with_those_that_do() -> None:
    with pytest.raises(
        ShopError, match="auth hears nothing: choose from order, product, payment, cart, notif"
    ):
        queues_of("auth")
