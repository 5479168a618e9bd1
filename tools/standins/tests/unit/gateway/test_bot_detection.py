import pytest

from standins.gateway.plugins.bot_detection import BotDetection, Config
from tools.standins.tests.unit.gateway.exchanges import exchange


async def _status(agent: str, **lists: list[str]) -> int | None:
    plugin = BotDetection(Config.model_validate({"allow": [], "deny": []} | lists))
    answer = await plugin.access(exchange(user_agent=agent))
    return None if answer is None else answer.status


@pytest.mark.parametrize(
    "agent",
    [
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0)",
        "Mozilla/5.0 (compatible; Yahoo! Slurp)",
        "Mozilla/5.0 (compatible; YandexImages/3.0)",
        "Baiduspider+(+http://www.baidu.com/search/spider.htm)",
        "facebookexternalhit/1.1",
        "Twitterbot/1.0",
        "Pingdom.com_bot_version_1.4",
        "Scrapy/2.13 (+https://scrapy.org)",
        "ia_archiver",
        "Python-urllib/3.13",
        "Apache-HttpClient/5.4 (Java/21)",
        "BotSeer/1.0",
        "OOZBOT/0.20",
        "Bot 1",
        "WordPress/6.8; https://example.org",
        "MyCrawler",
        "screen-scraper",
        "Goodzer/2.0",
        "voyager/1.0",
    ],
)
async def test_an_agent_on_kongs_list_is_refused(agent: str) -> None:
    assert await _status(agent) == 403


@pytest.mark.parametrize(
    "agent",
    [
        "",
        "curl/8.14.1",
        "python-httpx/0.28.1",
        "Python/3.13 aiohttp/3.14.0",
        "PostmanRuntime/7.44.0",
        "Go-http-client/2.0",
        "okhttp/5.1.0",
        "k6/1.2.0",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:145.0) Gecko/20100101 Firefox/145.0",
        "Mozilla/5.0 (Linux; Android 12; Cubot Note 40) AppleWebKit/537.36 Chrome/140 Mobile Safari/537.36",
        "Goodzer",
        "the-voyager",
    ],
)
async def test_an_agent_that_is_not_on_kongs_list_passes(agent: str) -> None:
    assert await _status(agent) is None


async def test_allow_comes_before_deny_and_before_kongs_list() -> None:
    assert await _status("Googlebot/2.1", allow=["^Googlebot/"], deny=["bot"]) is None
    assert await _status("not Googlebot/2.1", allow=["^Googlebot/"]) == 403


async def test_an_agent_on_the_deny_list_is_refused() -> None:
    assert await _status("sqlmap/1.9", deny=["sqlmap"]) == 403
    assert await _status("sqlmap/1.9") is None
