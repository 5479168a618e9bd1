import pytest

from standins.gateway.router import Router, Rule


def _router(*rules: tuple[str, str, int]) -> Router[str]:
    return Router(
        Rule(path, frozenset(methods.split()), priority, f"{methods} {path}".strip())
        for methods, path, priority in rules
    )


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        ("GET", "/a", "/a"),
        ("GET", "/a/b/c", "/a/b"),
        ("POST", "/a/b/c", "POST /a"),
        ("GET", "/ax", "/a"),
        ("GET", "/n/12", "~/n/1"),
        ("GET", "/n/23", "~/n/[0-9]+"),
        ("GET", "/n/x", "/n/"),
        ("POST", "/n/12", "POST ~/n/[0-9]+$"),
        ("POST", "/n/12\n", "~/n/1"),
    ],
)
def test_the_first_route_by_kongs_order_takes_the_request(method: str, path: str, route: str) -> None:
    router = _router(
        ("", "/a", 0),
        ("", "/a/b", 0),
        ("POST", "/a", 0),
        ("", "/n/", 0),
        ("", "~/n/[0-9]+", 0),
        ("", "~/n/1", 3),
        ("POST", "~/n/[0-9]+$", 0),
    )
    found = router.find(method, path)
    assert found is not None
    assert found[0] == route


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("GET", "/b"), ("PUT", "/only-get")])
def test_no_route_takes_what_none_names(method: str, path: str) -> None:
    assert _router(("", "/a", 0), ("GET", "/only-get", 0)).find(method, path) is None


def test_a_match_returns_the_part_of_the_path_that_matched() -> None:
    assert _router(("", "/a", 0)).find("GET", "/a/b") == ("/a", "/a")
    assert _router(("", "~/a/[a-z]", 0)).find("GET", "/a/bc") == ("~/a/[a-z]", "/a/b")
