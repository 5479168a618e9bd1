"""Answers that take their time: streams pass piece by piece, nobody works for a client that has gone."""

import http.client
import socket
from urllib.parse import urlsplit

import pytest

from tests.edge.asking import ask
from tests.edge.fake import Fake


def _connect(base: str) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(base).netloc, timeout=10)


def test_the_first_event_arrives_before_the_second_is_sent(lab: str, fake: Fake) -> None:
    connection = _connect(lab)
    connection.request("GET", "/open?do=stream&key=events")
    answer = connection.getresponse()
    assert answer.read(len(b"data: first\n\n")) == b"data: first\n\n"
    fake.release("events")
    assert answer.read() == b"data: second\n\n"
    connection.close()


def test_a_response_that_ends_by_closing_arrives_whole(lab: str) -> None:
    reply = ask(lab, {"path": "/open?do=until-close"})
    assert (reply.status, reply.body) == (200, b"all of it")


def test_a_response_that_breaks_off_is_not_complete_for_the_client(lab: str) -> None:
    with pytest.raises(http.client.IncompleteRead):
        ask(lab, {"path": "/open?do=cut"})


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_client_that_leaves_stops_the_work_for_it(lab: str, fake: Fake, method: str) -> None:
    left = fake.leaving(method)
    connection = _connect(lab)
    connection.request(method, f"/open?do=hang&key={method}", body=b"x" if method == "POST" else None)
    assert fake.asked(method).wait(10)
    assert connection.sock is not None
    connection.sock.shutdown(socket.SHUT_RDWR)
    connection.close()
    assert left.wait(10)


def test_a_client_that_leaves_in_the_middle_of_a_stream_ends_it(lab: str, fake: Fake) -> None:
    left = fake.leaving("half")
    connection = _connect(lab)
    connection.request("GET", "/open?do=stream&key=half")
    answer = connection.getresponse()
    assert answer.read(6) == b"data: "
    answer.close()
    connection.close()
    assert left.wait(10)


def test_a_responses_cookies_stay_separate(lab: str) -> None:
    connection = _connect(lab)
    connection.request("GET", "/open?do=cookies")
    assert connection.getresponse().headers.get_all("Set-Cookie") == ["a=1", "b=2"]
    connection.close()


def test_head_announces_the_length_and_sends_nothing(lab: str) -> None:
    reply = ask(lab, {"method": "HEAD", "path": "/open"})
    assert (reply.status, reply.body) == (200, b"")
    assert int(reply.headers["content-length"]) > 0
