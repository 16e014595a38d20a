"""The owner's page about strategies that take turns, and money between their venues, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from e2e.admin_fake import TroubledMoney, serving
from e2e.page_browser import chromium, desk, needs_chromium, needs_pages
from services.selection_fake import FakeSelection

pytestmark = [pytest.mark.e2e, needs_pages, needs_chromium]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests here."""
    with chromium() as running:
        yield running


@pytest.mark.parametrize(("theme", "width", "locale"), [("light", 1440, "zh-CN"), ("dark", 390, "en-GB")])
def test_strategies_are_clean_and_a_plan_is_decided(
    browser: Browser, theme: str, width: int, locale: str
) -> None:
    """Nothing axe finds, no sideways scrolling; moving money reaches whoever carries it out, and is gone."""
    selection = FakeSelection()
    with (
        serving(TroubledMoney(), selection=selection) as url,
        desk(browser, url, theme=theme, width=width, locale=locale) as pages,
    ):
        page = pages.page
        page.goto(f"{url}/admin/strategies")
        plan = page.locator("section:has-text('second/arbitrage') section")
        expect(plan.locator("data[value='0.5']")).to_be_visible()
        expect(page.locator("main [aria-busy=true]")).to_have_count(0)
        assert pages.barriers() == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        pages.keep_screen(f"strategies-{theme}-{width}")
        plan.get_by_role("button").first.click()
        expect(plan).to_have_count(0)
        assert selection.asked == ["owner", "BTC-1", "True"]
        assert pages.complaints == []
