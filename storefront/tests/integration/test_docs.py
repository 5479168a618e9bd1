import re

import pytest
from httpx import AsyncClient

from ..conftest import Browser


@pytest.fixture
def client(browser: Browser) -> AsyncClient:
    return browser.http


async def test_everything_the_page_loads_is_served_here(client: AsyncClient) -> None:
    page = (await client.get("/docs")).text
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert loaded
    for address in loaded:
        assert address.startswith("/docs/assets/")
        assert (await client.get(address)).status_code == 200, address


async def test_swagger_ui_is_the_real_one(client: AsyncClient) -> None:
    script = await client.get("/docs/assets/swagger-ui-bundle.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert "SwaggerUIBundle" in script.text


@pytest.mark.parametrize("path", ["/docs", "/docs/assets/page.js", "/nowhere"])
async def test_every_response_forbids_scripts_from_other_origins(client: AsyncClient, path: str) -> None:
    headers = (await client.get(path)).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    assert headers["x-content-type-options"] == "nosniff"


async def test_the_page_has_no_script_of_its_own(client: AsyncClient) -> None:
    page = (await client.get("/docs")).text
    assert not re.search(r"<script(?![^>]*src=)", page)
    assert not re.search(r"\son\w+=", page)


async def test_scripts_are_sent_compressed_and_not_again_when_unchanged(client: AsyncClient) -> None:
    first = await client.get("/docs/assets/swagger-ui-bundle.js")
    assert first.headers["content-encoding"] == "gzip"
    again = await client.get(
        "/docs/assets/swagger-ui-bundle.js", headers={"If-None-Match": first.headers["etag"]}
    )
    assert again.status_code == 304


@pytest.mark.parametrize("path", ["/docs/assets/../app.py", "/docs/assets/%2e%2e/app.py", "/docs/app.py"])
async def test_nothing_but_the_page_is_served(client: AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 404


async def test_healthz_responds(client: AsyncClient) -> None:
    assert (await client.get("/healthz")).text == "ok"
