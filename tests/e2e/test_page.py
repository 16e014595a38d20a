"""The page over a real instance, in a real browser."""

from __future__ import annotations

import csv
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from e2e.page_browser import chromium, desk, needs_chromium, needs_pages
from e2e.running import RunningInstance, wait_for, wait_until

pytestmark = [pytest.mark.e2e, needs_pages]

PHONE, DESKTOP = 390, 1440
SECTIONS = ("market", "quotes", "activity", "pool")
JS_BUDGET = 150_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests here."""
    with chromium() as running:
        yield running


@needs_chromium
@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_is_clean_in_every_dress(
    browser: Browser, instance: RunningInstance, theme: str, width: int, language: str
) -> None:
    """No console error, nothing that axe finds and no sideways scrolling, whatever the settings."""
    locale = {"en": "en-GB", "zh": "zh-CN"}[language]
    with desk(browser, instance.url, theme=theme, width=width, locale=locale) as open_desk:
        page = open_desk.page
        for section in SECTIONS if width == PHONE else ("market",):
            open_desk.load(section)
            if width != PHONE or section == "quotes":
                page.locator("summary").first.click()
            page.locator("[aria-busy=true]:visible").first.wait_for(state="detached")
            assert open_desk.barriers() == []
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            open_desk.keep_screen(f"{theme}-{width}-{language}-{section}")
        assert page.locator("html").get_attribute("lang") == locale
        expect(
            page.get_by_role("button", name="Pause trading" if language == "en" else "暂停交易")
        ).to_be_visible()
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        lightness = float(background.removeprefix("oklch(").split()[0])
        assert (lightness < 0.5) == (theme == "dark")
        assert open_desk.complaints == []


@needs_chromium
def test_figures_are_the_instances_own(browser: Browser, instance: RunningInstance) -> None:
    """Every key figure on the page is the one that the API gives at that moment."""
    with desk(browser, instance.url) as open_desk:
        open_desk.load()
        open_desk.agrees(
            "/performance",
            """[api.pnl_quote, api.volume_quote, String(api.fills)].every((figure) =>
                shown('.stats').includes(figure))""",
        )
        open_desk.agrees("/pool", "shown('.stats').includes(api.nav)")
        open_desk.agrees(
            "/pool",
            """api.depositors.length === 3 && [
                api.nav, api.nav_per_share, api.shares,
                ...api.holdings.flatMap((one) => [one.amount, one.value]),
                ...api.depositors.flatMap((one) => [one.value, one.earned])
            ].every((figure) => shown('.fund').includes(figure))""",
        )
        open_desk.agrees("/market", "shown('.book').includes(api.mid)")


@needs_chromium
def test_our_quotes_stand_in_the_book(browser: Browser, instance: RunningInstance) -> None:
    """Each open order of ours is a marked row of the ladder with its price."""
    with desk(browser, instance.url) as open_desk:
        open_desk.load()
        open_desk.agrees(
            "/orders?state=open",
            "api.length > 0 && api.every((order) => shown('tr.ours .price').includes(order.price))",
        )


@needs_chromium
def test_every_quote_says_why(browser: Browser, instance: RunningInstance) -> None:
    """An opened quote shows the sentence and the terms that made its price."""
    with desk(browser, instance.url) as open_desk:
        open_desk.load("quotes")
        panel = open_desk.panel("Why these quotes")
        panel.locator("summary").first.click()
        expect(panel.locator("dt").first).to_be_visible()
        open_desk.agrees(
            "/quotes",
            """api.quotes[0].terms.length > 0
            && document.querySelector('.why details[open]').textContent.includes(api.quotes[0].why)
            && api.quotes[0].terms.every((term) => shown('.why details[open] dd').includes(term.value))""",
        )


@needs_chromium
def test_fills_and_events_arrive_by_themselves(browser: Browser, instance: RunningInstance) -> None:
    """The event log grows without a reload, and the fills are the API's, newest first."""
    with desk(browser, instance.url) as open_desk:
        open_desk.load("activity")
        page = open_desk.page
        page.get_by_role("tab", name="Events").click()
        newest = page.locator(".log tbody tr").first.locator("td").first
        before = newest.inner_text()
        expect(newest).not_to_have_text(before)
        page.get_by_role("tab", name="Fills").click()
        open_desk.agrees(
            "/fills?limit=5",
            "api.every((fill, at) => shown('.log tr td:nth-child(3)')[at] === fill.price)",
        )


@needs_chromium
def test_trading_is_paused_and_resumed(browser: Browser, instance: RunningInstance) -> None:
    """The button asks first; a yes cancels all quotes at the venue, and a second yes brings them back."""
    with desk(browser, instance.url) as open_desk:
        open_desk.load()
        page = open_desk.page
        page.get_by_role("button", name="Pause trading").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("All quotes are cancelled")
        assert open_desk.barriers() == []
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
        assert open_desk.answer("/instance")["state"] == "running"

        page.get_by_role("button", name="Pause trading").click()
        page.get_by_role("button", name="Pause and cancel quotes").click()
        expect(dialog).to_be_hidden()
        expect(page.get_by_text("Paused", exact=True)).to_be_visible()
        expect(page.locator("tr.ours")).to_have_count(0)
        assert open_desk.answer("/instance")["state"] == "paused"
        wait_for(lambda: open_desk.answer("/orders?state=open"), [])
        open_desk.keep_screen("paused")

        page.get_by_role("button", name="Resume trading").click()
        dialog.get_by_role("button", name="Resume trading").click()
        expect(page.get_by_text("Trading", exact=True)).to_be_visible()
        expect(page.locator("tr.ours").first).to_be_visible()
        assert open_desk.complaints == []


@needs_chromium
def test_choices_are_kept(browser: Browser, instance: RunningInstance) -> None:
    """Language and theme change at once and are the same after a reload."""
    with desk(browser, instance.url) as open_desk:
        open_desk.load()
        page = open_desk.page
        page.get_by_role("button", name="中文").click()
        expect(page.get_by_role("heading", name="订单簿")).to_be_visible()
        for _ in range(2):  # auto, light, dark
            page.get_by_role("button", name="主题").click()
        page.reload()
        expect(page.get_by_role("heading", name="订单簿")).to_be_visible()
        assert page.evaluate("document.documentElement.className") == "dark"
        assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"


@needs_chromium
def test_the_keyboard_reaches_everything(browser: Browser, instance: RunningInstance) -> None:
    """Skip link, tabs by arrows, sorting and intervals work without a mouse."""
    with desk(browser, instance.url) as open_desk:
        open_desk.load()
        page = open_desk.page
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
        page.get_by_role("tab", name="Fills").focus()
        page.keyboard.press("ArrowRight")
        expect(page.get_by_role("tab", name="Open orders")).to_be_focused()
        expect(page.get_by_role("tab", name="Open orders")).to_have_attribute("aria-selected", "true")
        page.get_by_role("tabpanel").get_by_role("button", name="Price").press("Enter")
        cells = page.locator(".log tbody tr td:nth-child(3) data")

        def prices() -> list[float]:
            found: list[float] = cells.evaluate_all("(cells) => cells.map((cell) => Number(cell.value))")
            return found

        wait_until(lambda: (shown := prices()) == sorted(shown), seen=prices)
        page.get_by_role("radio", name="5s", exact=True).focus()
        page.keyboard.press("ArrowRight")
        expect(page.get_by_role("radio", name="15s")).to_be_checked()


@needs_chromium
def test_tables_are_exported_exactly(browser: Browser, instance: RunningInstance) -> None:
    """The CSV of the events holds the API's rows, digit by digit."""
    with desk(browser, instance.url) as open_desk:
        open_desk.load("activity")
        page = open_desk.page
        page.get_by_role("tab", name="Events").click()
        with page.expect_download() as download:
            page.get_by_role("button", name="Download CSV").click()
        rows = list(csv.DictReader(download.value.path().open(newline="")))
        assert rows
        known = {event["seq"]: event for event in open_desk.answer("/events?limit=1000")}
        for row in rows:
            event = known[int(row["seq"])]
            assert (row["hash"], row["summary"]) == (event["hash"], event["summary"])


@needs_chromium
def test_charts_can_be_read_as_tables(browser: Browser, instance: RunningInstance) -> None:
    """Candles and the equity curve are also given as tables with the API's figures."""
    with desk(browser, instance.url) as open_desk:
        open_desk.load()
        page = open_desk.page
        for title, route, where, figure in (
            ("Price", "/market/candles", ".price", "close"),
            ("Equity", "/pool/equity", ".equity", "nav"),
        ):
            open_desk.panel(title).get_by_role("button", name="Show as table").click()
            open_desk.agrees(route, f"api.length > 1 && shown('{where}').includes(api.at(-2).{figure})")
        assert open_desk.barriers() == []
        page.get_by_role("button", name="Configuration").click()
        expect(page.get_by_role("dialog").locator("td").first).to_be_visible()
        assert open_desk.barriers() == []
        assert open_desk.complaints == []


@needs_chromium
def test_the_route_is_light(browser: Browser, instance: RunningInstance) -> None:
    """All scripts that the desk asks for together stay within 150 kB compressed."""
    with desk(browser, instance.url) as open_desk:
        open_desk.load()
        assert open_desk.scripts
        assert open_desk.script_bytes() <= JS_BUDGET
