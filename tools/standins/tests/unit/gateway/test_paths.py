import pytest

from standins.gateway.router import BadPath, escape, normalise


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/a/b/", "/a/b/"),
        ("/a//b", "/a/b"),
        ("//", "/"),
        ("/a/./b", "/a/b"),
        ("/a/../b", "/b"),
        ("/a/b/..", "/a/"),
        ("/a/.", "/a/"),
        ("/a/%2e%2E/b", "/b"),
        ("/a/...", "/a/..."),
        ("/.well-known/x", "/.well-known/x"),
        ("/%41%7e", "/A~"),
        ("/%2f%2F", "/%2F%2F"),
        ("/%20%c3%a9", "/ \xc3\xa9"),
    ],
)
def test_a_path_is_normalised_before_routing(raw: str, path: str) -> None:
    assert normalise(raw.encode()) == path


@pytest.mark.parametrize(
    "raw",
    ["/..", "/../a", "/a/../../b", "/%2e%2e/a", "/a%2f..%2f..%2fb", "/%00", "/%", "/%a", "/%zz", "a", "*"],
)
def test_a_path_above_the_root_or_with_broken_escapes_is_refused(raw: str) -> None:
    with pytest.raises(BadPath):
        normalise(raw.encode())


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/a b", "/a%20b"),
        ("/\xc3\xa9", "/%C3%A9"),
        ("/%2F", "/%2F"),
        ('/"<>', "/%22%3C%3E"),
        ("/a~b;c=d", "/a~b;c=d"),
    ],
)
def test_a_path_is_escaped_again_for_the_upstream(path: str, sent: str) -> None:
    assert escape(path) == sent
