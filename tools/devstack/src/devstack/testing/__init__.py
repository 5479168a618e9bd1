"""pytest plugin: private servers for any member's tests, started by the first test that asks for them.

All workers of a session share them; the session's controller stops them at the end, also after a failure.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from sqlalchemy import URL, make_url

from devstack import Stack
from devstack.layout import Layout, exclusive
from devstack.supervisor import Supervisor
from devstack.testing.broker import Broker, fresh_vhost
from devstack.testing.databases import empty_database, migrated_copies
from devstack.testing.session import Session, folder_name
from shop.targets import OPERATOR

_SESSION = pytest.StashKey[Session]()
_MARKS = {"postgres_server": "postgres", "rabbitmq_server": "broker", "stack": "shop"}  # by fixture
_SERVERS = {"postgres": "postgres", "rabbitmq": "broker"}  # by program
_LOCK_SECONDS = 1800.0  # all the others may come first


def pytest_configure(config: pytest.Config) -> None:
    """The controller makes up a folder and gives it to its workers."""
    own = config.rootpath / ".local" / "test" / folder_name(psutil.Process())
    given = getattr(config, "workerinput", {}).get("shop_session", own)
    config.stash[_SESSION] = Session(Path(given))


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test is marked by the servers that its fixtures ask for."""
    for item in items:
        for fixture in _MARKS.keys() & set(getattr(item, "fixturenames", ())):
            item.add_marker(_MARKS[fixture])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """A test that starts a server without its mark fails: `-m` could not leave it out."""
    start = Supervisor.start

    def checked(supervisor: Supervisor, name: str) -> None:
        mark = _SERVERS.get(name)
        if mark and not item.get_closest_marker(mark) and not item.get_closest_marker("shop"):
            pytest.fail(f"{item.nodeid} starts {name}: mark it with @pytest.mark.{mark}")
        start(supervisor, name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Supervisor, "start", checked)
        return (yield)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: pytest.Item) -> None:
    node.workerinput["shop_session"] = str(node.config.stash[_SESSION].folder)  # type: ignore[attr-defined]


def pytest_unconfigure(config: pytest.Config) -> None:
    session = config.stash.get(_SESSION, None)
    if session and not hasattr(config, "workerinput"):
        session.close()


@pytest.fixture(scope="session")
def postgres_server(request: pytest.FixtureRequest) -> Stack:
    """A PostgreSQL with nothing in it; most tests want `postgres` or `migrated`."""
    return request.config.stash[_SESSION].running("postgres")


@pytest.fixture
def postgres(postgres_server: Stack) -> Iterator[str]:
    """`postgresql+asyncpg://…` of an empty database of this test's own."""
    with empty_database(postgres_server) as url:
        yield url


@pytest.fixture
def migrated(postgres_server: Stack) -> Iterator[Callable[[str], str]]:
    """`migrated("order")`: the URL of a database of this test's own, at the service's newest schema, for the
    service's own role."""
    with migrated_copies(postgres_server) as copy:
        yield copy


@pytest.fixture
def as_operator(postgres_server: Stack) -> Callable[[str | URL], str]:
    """`as_operator(url)`: the same database for the operator, who may also change its schema."""
    return lambda url: postgres_server.database_url(OPERATOR, str(make_url(url).database))


@pytest.fixture(scope="session")
def rabbitmq_server(request: pytest.FixtureRequest) -> Stack:
    """A RabbitMQ with nothing in it; most tests want `rabbitmq`."""
    return request.config.stash[_SESSION].running("rabbitmq")


@pytest.fixture
def rabbitmq(rabbitmq_server: Stack) -> Iterator[Broker]:
    """An empty virtual host of this test's own."""
    with fresh_vhost(rabbitmq_server) as broker:
        yield broker


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> Stack:
    """The whole shop, running, on ports that nobody else uses."""
    return request.config.stash[_SESSION].running()


@pytest.fixture(autouse=True)
def _one_shop_test_at_a_time(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test may stop parts of the shop: those that use it run one after the other, in all workers."""
    if "stack" not in request.fixturenames:
        yield
        return
    with exclusive(Layout(request.config.stash[_SESSION].folder / "turn"), _LOCK_SECONDS):
        yield
