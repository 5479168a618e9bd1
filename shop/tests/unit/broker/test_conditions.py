"""What keeps messages from flowing, or soon will, is described."""

from shop.broker.checking import Figures, conditions, dead_letters

LIMITED = {"max-length": 1000, "max-length-bytes": 10_000}


def found(figures: Figures) -> list[tuple[str, str]]:
    return [(issue.kind, issue.means) for issue in conditions(figures)]


def test_a_broker_that_works_has_nothing_to_tell() -> None:
    figures = Figures(
        nodes=[{"name": "rabbit@a", "running": True, "partitions": []}],
        connections=[{"name": "1", "state": "running"}, {"name": "2"}],
        queues=[
            {"name": "order", "messages": 799, "message_bytes": 1, "effective_policy_definition": LIMITED},
            {"name": "unlimited", "messages": 10_000_000, "effective_policy_definition": {}},
            {"name": "new"},
        ],
    )
    assert found(figures) == []


def test_an_alarm_says_which_resource_of_which_node() -> None:
    [(kind, means)] = found(Figures(alarms=[{"node": "rabbit@a", "resource": "memory"}]))
    assert kind == "broker-alarm"
    assert means == "memory alarm on rabbit@a: the broker blocks publishers until the alarm clears"


def test_a_node_that_is_down_and_one_that_sees_nobody_are_told() -> None:
    figures = Figures(
        nodes=[
            {"name": "rabbit@a", "running": False},
            {"name": "rabbit@b", "running": True, "partitions": ["rabbit@c"]},
        ]
    )
    assert [kind for kind, _ in found(figures)] == ["node-down", "broker-partitioned"]


def test_a_blocked_connection_says_whose_it_is() -> None:
    figures = Figures(
        connections=[{"user_provided_name": "order publishes", "user": "order", "state": "blocked"}]
    )
    [(kind, means)] = found(figures)
    assert kind == "connection-blocked"
    assert means == "the broker blocks connection 'order publishes' of order: blocked"


def test_a_queue_is_told_before_it_is_full() -> None:
    figures = Figures(
        queues=[
            {"name": "order", "messages": 800, "message_bytes": 1, "effective_policy_definition": LIMITED},
            {
                "name": "cart.dead",
                "messages": 1,
                "message_bytes": 9000,
                "effective_policy_definition": LIMITED,
            },
        ]
    )
    full = conditions(figures)
    assert [issue.means for issue in full] == [
        "queue order holds 800 of at most 1000 messages",
        "queue cart.dead holds 9000 of at most 10000 bytes",
    ]
    assert [issue.next for issue in full] == ["shop logs order", "shop dead-letters list --service cart"]


def test_dead_letters_are_counted_by_queue() -> None:
    figures = Figures(queues=[{"name": "order.dead", "messages": 3}, {"name": "order", "messages": 9}])
    assert dead_letters(figures) == {"order.dead": 3}
