"""A user's pages when there is nothing, something broken, a session that ended, or a first run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from e2e.page_browser import chromium, desk, needs_chromium, needs_pages
from e2e.page_fake import MadeUpInstance, serving
from e2e.page_money_fake import MadeUpMoney
from e2e.running import OWNER_PASSWORD
from mrmarket.services.access.access import Access
from mrmarket.services.access.password import Passwords
from mrmarket.services.access.settings import AccessSettings

pytestmark = [pytest.mark.e2e, needs_pages, needs_chromium]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests here."""
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def books() -> MadeUpMoney:
    """The made-up books behind `url`."""
    return MadeUpMoney()


@pytest.fixture(scope="module")
def url(books: MadeUpMoney) -> Iterator[str]:
    """One server for all tests here."""
    with serving(MadeUpInstance(), money=books) as address:
        yield address


def test_a_reward_shows_its_formula_with_the_users_own_numbers(browser: Browser, url: str) -> None:
    """The month's days are shaded; a day opens the formula, computed again, and the six steps."""
    with desk(browser, url, width=390, person="alice") as open_desk:
        page = open_desk.page
        page.goto(f"{url}/rewards")
        days = page.locator("button.day")
        expect(days).to_have_count(2)
        shades = days.evaluate_all("(cells) => cells.map((one) => getComputedStyle(one).backgroundColor)")
        assert shades[0] != shades[1]
        assert open_desk.barriers() == []
        days.nth(1).click()
        sheet = page.get_by_role("dialog")
        for figure in ("100", "123", "369", "33.33333333"):
            expect(sheet.locator(f"data[value='{figure}']").first).to_be_visible()
        expect(sheet).to_contain_text("Computed again in this browser: 33.333333333333 HMT")
        expect(sheet.locator("[data-step]")).to_have_count(6)
        assert open_desk.barriers() == []
        open_desk.keep_screen("reward-trace")
        assert open_desk.complaints == []


def test_a_tiny_amount_is_not_shown_as_none(browser: Browser, url: str) -> None:
    """Less than a cent shows the digits that count; large amounts are cut off, not rounded up."""
    with desk(browser, url, person="alice") as open_desk:
        open_desk.page.goto(url)
        expect(open_desk.page.locator("data[value='0.00001234']")).to_contain_text("0.000012")
        worth = open_desk.page.locator("data[value='1250.123456789012345678']").first
        expect(worth).to_contain_text("1,250.12")
        expect(worth).to_have_attribute("title", "1250.123456789012345678 USDT")


def test_somebody_with_nothing_is_told_what_will_be_there(
    browser: Browser, url: str, books: MadeUpMoney
) -> None:
    """Empty places say what to do, in both languages, and invent no figure."""
    books.empty = True
    try:
        for locale, sentences in (
            (
                "en-GB",
                ("You have nothing in a pool yet.", "No rewards yet.", "Nothing happened in this time."),
            ),
            ("zh-CN", ("你还没有资金在池中", "还没有奖励", "这段时间没有记录")),
        ):
            with desk(browser, url, locale=locale, person="alice") as open_desk:
                for path, sentence in zip(("/", "/rewards", "/history"), sentences, strict=True):
                    open_desk.page.goto(f"{url}{path}")
                    expect(open_desk.page.get_by_text(sentence)).to_be_visible()
                    assert open_desk.barriers() == []
                assert open_desk.complaints == []
    finally:
        books.empty = False


def test_what_cannot_be_read_says_why_and_recovers(browser: Browser, url: str, books: MadeUpMoney) -> None:
    """The refusal's own sentence stands in the panel; another try brings the figures."""
    books.away = True
    with desk(browser, url, person="alice") as open_desk:
        page = open_desk.page
        page.goto(url)
        panel = page.get_by_role("region", name="Positions")
        expect(panel.get_by_role("alert")).to_contain_text("the books are being restored")
        assert open_desk.barriers() == []
        books.away = False
        panel.get_by_role("button", name="Try again").click()
        expect(panel.locator("data[value='1234.5']").first).to_be_visible()


def test_old_figures_are_greyed(browser: Browser, url: str, books: MadeUpMoney) -> None:
    """Figures that could not be renewed stay, marked old."""
    with desk(browser, url, person="alice") as open_desk:
        page = open_desk.page
        page.goto(url)
        panel = page.get_by_role("region", name="Positions")
        expect(panel).to_have_attribute("data-stale", "false")
        books.away = True
        try:
            expect(panel).to_have_attribute("data-stale", "true")
            expect(panel.locator("data[value='1234.5']").first).to_be_visible()
        finally:
            books.away = False


def test_an_ended_session_asks_again_and_keeps_what_was_typed(browser: Browser, url: str) -> None:
    """The dialog comes up over a half-filled form, and after it the form is as it was."""
    with desk(browser, url, person="alice") as open_desk:
        page = open_desk.page
        page.goto(f"{url}/earn/main")
        page.get_by_role("button", name="Deposit").click()
        page.get_by_label("Amount", exact=True).fill("77")
        page.context.clear_cookies()
        page.get_by_label("Amount", exact=True).fill("777")
        dialog = page.get_by_role("dialog", name="Sign in")
        expect(dialog).to_contain_text("Your session has ended.")
        dialog.get_by_role("button", name="Continue as alice").click()
        expect(dialog).to_be_hidden()
        expect(page.get_by_label("Amount", exact=True)).to_have_value("777")
        page.get_by_label("Amount", exact=True).fill("778")
        expect(page.get_by_role("button", name="Continue")).to_be_enabled()


def test_the_link_from_the_terminal_sets_the_password(browser: Browser) -> None:
    """The token leaves the address bar, two different passwords are caught, and the owner is in."""
    access = Access.ephemeral(
        AccessSettings(demo=True, open_desk=True), passwords=Passwords(memory_kib=64, rounds=1)
    )
    token = access.setup_token()
    with (
        serving(MadeUpInstance(), money=MadeUpMoney(), access=access) as address,
        desk(browser, address, owner=False) as open_desk,
    ):
        page = open_desk.page
        page.goto(f"{address}/#setup={token}")
        dialog = page.get_by_role("dialog", name="Set the owner’s password")
        expect(dialog).to_be_visible()
        assert "setup" not in page.url
        assert open_desk.barriers() == []
        dialog.get_by_label("Password (10 characters or more)").fill(OWNER_PASSWORD)
        dialog.get_by_label("The same again").fill("another one entirely")
        dialog.get_by_role("button", name="Set password").click()
        expect(dialog.get_by_role("alert")).to_contain_text("differ")
        dialog.get_by_label("The same again").fill(OWNER_PASSWORD)
        dialog.get_by_role("button", name="Set password").click()
        expect(page.get_by_role("button", name="Owner")).to_be_visible()
        assert open_desk.answer("/auth/session")["role"] == "admin"


def test_an_instance_without_books_says_so(browser: Browser) -> None:
    """Where money is not ready yet the pools say why and can be asked again."""
    with serving(MadeUpInstance()) as address, desk(browser, address, owner=False) as open_desk:
        page = open_desk.page
        page.goto(f"{address}/earn")
        expect(page.get_by_role("alert")).to_contain_text("still starting")
        expect(page.get_by_role("button", name="Try again")).to_be_visible()
        assert open_desk.barriers() == []
