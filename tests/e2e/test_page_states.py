"""What the page shows when there is nothing, something broken, something old, or nobody."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest
from playwright.sync_api import Browser, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from e2e.page_browser import chromium, desk, needs_chromium, needs_pages
from e2e.page_fake import MadeUpInstance, serving

pytestmark = [pytest.mark.e2e, needs_pages, needs_chromium]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests here."""
    with chromium() as running:
        yield running


def test_an_instance_without_history_says_so(browser: Browser) -> None:
    """Every panel tells what will be there, and no figure is invented."""
    with serving(MadeUpInstance("empty")) as url, desk(browser, url) as open_desk:
        open_desk.load()
        page = open_desk.page
        for text in (
            "The book has not arrived yet.",
            "No trade has been seen yet.",
            "waiting for the first book",
            "The curve starts with the first valuation.",
            "Nothing captured yet: there are no fills.",
        ):
            expect(page.get_by_text(text)).to_be_visible()
        expect(page.get_by_role("button", name="Pause trading")).to_be_disabled()
        assert open_desk.barriers() == []
        open_desk.keep_screen("state-empty")
        assert open_desk.complaints == []


def test_a_refused_part_shows_why_and_recovers(browser: Browser) -> None:
    """The problem's own sentence stands in the panel; another try brings the figures."""
    instance = MadeUpInstance("broken")
    with serving(instance) as url, desk(browser, url) as open_desk:
        page = open_desk.page
        page.goto(f"{url}/desk")
        panel = open_desk.panel("Pool")
        expect(panel.get_by_role("alert")).to_contain_text("the ledger is being restored")
        expect(page.locator("tr.level").first).to_be_visible()
        open_desk.keep_screen("state-broken")
        instance.scenario = "trading"
        # The page tries again by itself, too, and takes the button away when that succeeds.
        with suppress(PlaywrightTimeoutError):
            panel.get_by_role("button", name="Try again").click(timeout=5_000)
        expect(panel.get_by_text("Net asset value")).to_be_visible()


def test_old_figures_are_greyed(browser: Browser) -> None:
    """A book that stopped moving is called delayed by its age, and its prices lose their colour."""
    with serving(MadeUpInstance("stale")) as url, desk(browser, url) as open_desk:
        open_desk.load(live="delayed")
        expect(open_desk.page.locator("[data-live=delayed]")).to_contain_text("Delayed 14 s")
        expect(open_desk.panel("Order book")).to_have_attribute("data-stale", "true")
        expect(open_desk.panel("Pool")).to_have_attribute("data-stale", "false")
        assert open_desk.barriers() == []
        open_desk.keep_screen("state-stale")


def test_a_lost_instance_is_waited_for(browser: Browser) -> None:
    """While nobody answers the page keeps the last figures, marked old; it is live again when they are."""
    with serving(MadeUpInstance()) as url:
        opened = desk(browser, url)
        open_desk = opened.__enter__()
        open_desk.load()
    page = open_desk.page
    page.locator("[data-live=reconnecting]").wait_for()
    expect(page.get_by_text("The instance does not answer.")).to_be_visible()
    expect(open_desk.panel("Pool")).to_have_attribute("data-stale", "true")
    assert open_desk.barriers() == []
    open_desk.keep_screen("state-lost")
    with serving(MadeUpInstance(), port=int(url.rsplit(":", 1)[1])):
        page.locator("[data-live=live]").wait_for()
        expect(page.get_by_text("The instance does not answer.")).to_have_count(0)
        opened.__exit__(None, None, None)


def test_no_row_is_lost_when_the_stream_breaks(browser: Browser) -> None:
    """Fills that happened while the stream was cut are there once it stands again."""
    instance = MadeUpInstance()
    with serving(instance) as url, desk(browser, url) as open_desk:
        open_desk.load("activity")
        page = open_desk.page
        lost = instance.fills_made + 3
        instance.rows_to_lose = 3
        page.wait_for_function(
            "async (lost) => (await (await fetch('/api/v1/fills?limit=1000')).json()).length >= lost",
            arg=lost,
        )
        open_desk.agrees(
            "/fills?limit=50",
            "api.every((fill, at) => shown('.log tr td:nth-child(3)')[at] === fill.price)",
        )
