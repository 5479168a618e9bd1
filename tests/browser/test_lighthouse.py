"""Lighthouse's four scores, on a slow phone that it simulates."""

import asyncio
import json
import os
from typing import Any

import pytest

from tests.browser.chromium import FLAGS, executable
from tests.browser.visitor import LIGHTHOUSE, PICTURES, Visitor
from tests.browser.walk import SKU

LEAST = 98
# A busy machine only ever lowers the performance: each page may try again.
TRIES = 5
# Lighthouse simulates a phone with a fourth of the speed of a desktop, whose `benchmarkIndex` is some 1600. A
# slower machine is slowed down less when it tries again, so that the phone is the same. Source: Lighthouse,
# docs/throttling.md, "Calibrating multipliers".
SLOWDOWN, PHONE_INDEX = 4.0, 400


@pytest.mark.timeout(900)
async def test_lighthouse_scores(visitor: Visitor) -> None:
    """Home, list, product, cart, checkout and order score at least 98 in all categories."""
    paths = {"home": "/", "list": "/c/kitchen", "product": f"/p/{SKU}"}
    order = await visitor.order(SKU)
    await visitor.until_ended()
    await visitor.put_into_cart(SKU, 2)
    paths |= {"cart": "/cart", "checkout": "/checkout", "order": order}
    cookies = "; ".join(f"{one['name']}={one['value']}" for one in await visitor.context.cookies())
    low = {}
    for name, path in paths.items():
        slowdown = SLOWDOWN
        for number in range(1, TRIES + 1):
            report = await _audit(visitor.stack.gateway_url + path, cookies, slowdown)
            scores = {key: round(100 * one["score"]) for key, one in report["categories"].items()}
            await asyncio.to_thread(_note, f"{name}, run {number}: {scores}, {_times(report)}")
            wrong = {key for key, score in scores.items() if score < LEAST}
            if wrong != {"performance"}:
                break
            slowdown = max(1.0, min(SLOWDOWN, report["environment"]["benchmarkIndex"] / PHONE_INDEX))
        if wrong:
            low[name] = {**scores, "because": _reasons(report)}
    assert low == {}


async def _audit(url: str, cookies: str, slowdown: float) -> dict[str, Any]:
    """Lighthouse's report of a phone on slow 4G; this machine is so many times faster than it."""
    process = await asyncio.create_subprocess_exec(
        LIGHTHOUSE / "node_modules" / ".bin" / "lighthouse",
        url,
        "--quiet",
        "--output=json",
        "--only-categories=performance,accessibility,best-practices,seo",
        "--disable-full-page-screenshot",
        f"--throttling.cpuSlowdownMultiplier={slowdown:.2f}",
        f"--extra-headers={json.dumps({'Cookie': cookies})}",
        f"--chrome-flags=--headless {' '.join(FLAGS)}",
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "CHROME_PATH": executable()},
    )
    output, _ = await process.communicate()
    report: dict[str, Any] = json.loads(output)
    assert report["finalDisplayedUrl"] == url, report["finalDisplayedUrl"]
    return report


def _note(line: str) -> None:
    """What was measured, to be read: `.local/browser/lighthouse.txt`."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with (PICTURES / "lighthouse.txt").open("a") as file:
        file.write(line + "\n")


def _times(report: dict[str, Any]) -> str:
    names = ("first-contentful-paint", "largest-contentful-paint", "total-blocking-time")
    shown = [f"{name} {report['audits'][name]['numericValue']:.0f} ms" for name in names]
    return ", ".join(
        [
            *shown,
            f"benchmark {report['environment']['benchmarkIndex']:.0f}",
            f"{report['configSettings']['throttling']['cpuSlowdownMultiplier']} times slower",
        ]
    )


def _reasons(report: dict[str, Any]) -> list[str]:
    """The audits that lower a category's score."""
    weighted = {
        ref["id"] for one in report["categories"].values() for ref in one["auditRefs"] if ref["weight"]
    }
    audits = (report["audits"][name] for name in sorted(weighted))
    return [f"{one['id']} {one['score']}" for one in audits if one["score"] is not None and one["score"] < 1]
