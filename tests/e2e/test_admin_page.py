"""The owner's pages over a made-up business core, in a real browser."""

from __future__ import annotations

import csv
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from e2e.admin_books import NOW_MS
from e2e.admin_fake import GROUPS, TroubledMoney, serving
from e2e.page_browser import Desk, chromium, desk, needs_chromium, needs_pages
from e2e.running import RunningInstance
from mrmarket.services.api import money_schema as money

pytestmark = [pytest.mark.e2e, needs_pages, needs_chromium]

PHONE, DESKTOP = 390, 1440
PAGES = ("money", "rewards", "users", "pools", "ledger", f"ledger/{GROUPS - 20}", "performance")
HEADINGS = {
    "en": ("Money", "Rewards", "Users", "Pools", "Ledger", "Ledger", "Performance"),
    "zh": ("资金", "奖励", "用户", "资金池", "账本", "账本", "业绩"),
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests here."""
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def troubled() -> Iterator[str]:
    """An instance with every trouble; no test changes it."""
    with serving(TroubledMoney()) as url:
        yield url


def visit(pages: Desk, name: str) -> None:
    """Open one of the owner's pages and wait until nothing on it is loading."""
    pages.page.goto(f"{pages.url}/admin/{name}")
    pages.page.get_by_role("heading", level=1).wait_for()
    pages.page.locator("section").first.wait_for()
    expect(pages.page.locator("[aria-busy=true]")).to_have_count(0)


def rows(pages: Desk, panel: str) -> list[str]:
    """The texts of a panel's table, row by row."""
    found: list[str] = pages.panel(panel).locator("tbody tr").all_inner_texts()
    return found


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_is_clean_in_every_dress(
    browser: Browser, troubled: str, theme: str, width: int, language: str
) -> None:
    """No console error, nothing that axe finds and no sideways scrolling, whatever the settings."""
    locale = {"en": "en-GB", "zh": "zh-CN"}[language]
    with desk(browser, troubled, theme=theme, width=width, locale=locale) as pages:
        for name, heading in zip(PAGES, HEADINGS[language], strict=True):
            visit(pages, name)
            expect(pages.page.get_by_role("heading", level=1)).to_have_text(heading)
            assert pages.barriers() == []
            assert pages.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            pages.keep_screen(f"admin-{theme}-{width}-{language}-{name.replace('/', '-')}")
        assert pages.complaints == []


@pytest.mark.parametrize("name", PAGES)
def test_pages_without_anything_say_so(browser: Browser, name: str) -> None:
    """An instance on its first day shows sentences where there are no rows, and nothing axe finds."""
    with serving(TroubledMoney("empty")) as url, desk(browser, url, width=PHONE) as pages:
        visit(pages, name)
        expect(pages.page.locator("main")).not_to_contain_text("undefined")
        expect(pages.page.locator("main")).not_to_contain_text("NaN")
        assert pages.barriers() == []
        assert pages.complaints == []


def test_only_the_owner_sees_anything(browser: Browser, troubled: str) -> None:
    """A visitor is told to sign in, and no figure is fetched."""
    with desk(browser, troubled, owner=False) as pages:
        asked: list[str] = []
        pages.page.on("request", lambda request: asked.append(request.url))
        pages.page.goto(f"{troubled}/admin/money")
        expect(pages.page.get_by_role("heading", name="For the owner")).to_be_visible()
        assert not [url for url in asked if "/api/v1/admin" in url]
        assert pages.barriers() == []
        pages.page.get_by_role("main").get_by_role("button", name="Sign in").click()
        expect(pages.page.get_by_role("dialog")).to_be_visible()


def test_trouble_comes_first(browser: Browser) -> None:
    """What is wrong stands at the top, the grave before the mild, and goes when it is put right."""
    with serving(TroubledMoney()) as url, desk(browser, url) as pages:
        visit(pages, "money")
        alarms = pages.page.locator("[data-alarm]")
        expect(alarms).to_have_count(7)
        said = alarms.all_inner_texts()
        assert "does not cover" in said[0]
        assert "Payouts in USDT are stopped" in said[1]
        assert "0.5 USDT are missing" in said[1]
        assert "99.5 seen where 100 is owed" in said[2]
        graves = [alarm.get_attribute("data-alarm") for alarm in alarms.all()]
        assert graves == ["grave"] * 5 + ["mild"] * 2
        tops = [pages.page.locator(where).first.bounding_box() for where in ("[data-alarm]", "table")]
        first, table = (box["y"] if box else 0 for box in tops)
        assert 0 < first < table

        pages.page.get_by_role("button", name="Reconcile now").click()
        expect(pages.panel("Treasury")).not_to_contain_text("incident")
        expect(pages.page.locator("[data-alarm=grave]")).to_have_count(2)
        assert pages.complaints == []


def test_the_treasury_is_the_apis_own(browser: Browser, troubled: str) -> None:
    """Observed, expected and difference are the API's figures to the last digit, and so is the export."""
    with desk(browser, troubled) as pages:
        visit(pages, "money")
        pages.page.locator("section").first.evaluate("(section) => section.classList.add('treasury')")
        pages.agrees(
            "/admin/treasury",
            """api.lines.flatMap((line) => [line.observed, line.expected, line.difference])
                .filter((figure) => figure !== null)
                .every((figure) => shown('.treasury').includes(figure))""",
        )
        with pages.page.expect_download() as download:
            pages.page.get_by_role("button", name="Download CSV: Treasury").click()
        lines = list(csv.DictReader(download.value.path().open(newline="")))
        assert lines[2]["expected"] == "998945.575433380000000001"
        assert [line["difference"] for line in lines] == ["-0.5", "0.00765", ""]


def test_an_incident_is_taken_as_it_is_with_a_reason(browser: Browser) -> None:
    """Without a reason the button does not work; with one the incident is closed."""
    fake = TroubledMoney()
    with serving(fake) as url, desk(browser, url) as pages:
        visit(pages, "money")
        pages.panel("Incidents").get_by_role("button", name="Take as it is").click()
        dialog = pages.page.get_by_role("dialog")
        yes = dialog.get_by_role("button", name="Take as it is")
        expect(yes).to_be_disabled()
        dialog.get_by_label("Why it may be closed").fill("counted by hand")
        assert pages.barriers() == []
        yes.click()
        expect(pages.panel("Incidents")).not_to_contain_text("Take as it is")
        assert fake.released == [("incident-1", "counted by hand")]
        assert pages.complaints == []


@pytest.mark.parametrize(
    ("button", "destination", "decided"),
    [
        ("Claim again", None, ("rail:payment-9", "reconsider", "")),
        ("Send back", "", ("rail:payment-9", "back", "")),
        ("Send back", "0xabc", ("rail:payment-9", "back", "0xabc")),
    ],
)
def test_a_parked_payment_is_claimed_again_or_sent_back(
    browser: Browser, button: str, destination: str | None, decided: tuple[str, str, str]
) -> None:
    """The dialog says what becomes of it; nobody named is the sender."""
    fake = TroubledMoney()
    with serving(fake) as url, desk(browser, url) as pages:
        visit(pages, "money")
        parked = pages.panel("Parked payments")
        parked.get_by_role("button", name=button).click()
        dialog = pages.page.get_by_role("dialog")
        if destination:
            dialog.get_by_label("To").fill(destination)
        dialog.get_by_role("button", name=button).click()
        expect(parked).to_have_count(0)
        assert fake.decided == [decided]
        assert pages.complaints == []


def test_a_refused_payment_is_tried_again(browser: Browser) -> None:
    """The dialog says what will happen; a refusal stays in it, and the second yes queues the payment."""
    with serving(TroubledMoney()) as url, desk(browser, url) as pages:
        visit(pages, "money")
        outbox = pages.panel("Outbox")
        outbox.get_by_role("button", name="refused 1").click()
        expect(outbox.locator("tbody tr")).to_have_count(1)
        outbox.get_by_role("button", name="Try again").click()
        dialog = pages.page.get_by_role("dialog")
        expect(dialog).to_contain_text("74.25 USDT is set aside again")
        assert pages.barriers() == []
        dialog.get_by_role("button", name="Try again").click()
        expect(dialog.get_by_role("alert")).to_contain_text("the rail holds too little USDT")
        dialog.get_by_role("button", name="Try again").click()
        expect(dialog).to_be_hidden()
        expect(outbox).to_contain_text("No payment is in the state")
        outbox.get_by_role("button", name="All").click()
        expect(outbox.locator("tbody tr").nth(1)).to_contain_text("queued")


def test_older_payments_follow_without_a_gap(browser: Browser, troubled: str) -> None:
    """The second page goes on where the first ended, and a refresh keeps it."""
    with desk(browser, troubled) as pages:
        visit(pages, "money")
        outbox = pages.panel("Outbox")
        expect(outbox.locator("tbody tr")).to_have_count(50)
        outbox.get_by_role("button", name="Show older").click()
        expect(outbox.locator("tbody tr")).to_have_count(75)
        expect(outbox.get_by_role("button", name="Show older")).to_have_count(0)
        with pages.page.expect_response(lambda answer: "outbox" in answer.url and "limit=50" in answer.url):
            pass
        expect(outbox.locator("tbody tr")).to_have_count(75)
        amounts = outbox.locator("tbody td:nth-child(4) data").evaluate_all(
            "(all) => all.map((one) => one.value)"
        )
        assert amounts == [f"{number}.25" for number in range(75, 0, -1)]


def test_fees_are_withdrawn_once(browser: Browser) -> None:
    """No more than there is can be asked for; what is sent is what was typed, with a key of its own."""
    core = TroubledMoney("well")
    with serving(core) as url, desk(browser, url) as pages:
        visit(pages, "money")
        pages.page.get_by_role("button", name="Withdraw USDT").click()
        dialog = pages.page.get_by_role("dialog")
        pay = dialog.locator("button[type=submit]")
        expect(pay).to_be_disabled()
        dialog.get_by_label("Amount").fill("12.34567892")
        expect(dialog).to_contain_text("No more than 12.34567891 USDT")
        assert pages.barriers() == []
        dialog.get_by_label("Amount").fill("1e1")
        expect(dialog).to_contain_text("A number above zero")
        dialog.get_by_label("Amount").fill("")
        dialog.get_by_role("button", name="All").click()
        expect(dialog.get_by_label("Amount")).to_have_value("12.34567891")
        expect(pay).to_be_disabled()
        dialog.get_by_label("To").fill("mm-demo-owner")
        expect(pay).to_have_text("Pay out 12.34567891 USDT")
        pay.click()
        expect(dialog).to_be_hidden()
    (request,) = core.said
    assert isinstance(request, money.FeeWithdrawal)
    assert (request.asset, request.amount) == ("rail:USDT", "12.34567891")
    assert request.destination == "mm-demo-owner"
    assert len(request.key) == 32


def test_a_pool_is_paused_and_resumed(browser: Browser) -> None:
    """Pausing takes a reason and the pool's name; the reason is shown, and resuming opens it again."""
    core = TroubledMoney("well")
    with serving(core) as url, desk(browser, url) as pages:
        visit(pages, "pools")
        pages.page.get_by_role("button", name="Pause").click()
        dialog = pages.page.get_by_role("dialog")
        confirm = dialog.get_by_role("button", name="Pause")
        dialog.get_by_label("What").select_option("deposits")
        expect(dialog).to_contain_text("New deposits are refused")
        dialog.get_by_label("Reason").fill("The venue is being moved.")
        expect(confirm).to_be_disabled()
        dialog.get_by_label("Type").fill("main")
        assert pages.barriers() == []
        confirm.click()
        expect(dialog).to_be_hidden()
        expect(pages.page.locator("main")).to_contain_text("Deposits paused: The venue is being moved.")
        assert core.paused == {"deposits": "The venue is being moved."}

        pages.page.get_by_role("button", name="Resume").click()
        dialog.get_by_label("Type").fill("main")
        dialog.get_by_role("button", name="Resume").click()
        expect(dialog).to_be_hidden()
        expect(pages.page.locator("main")).not_to_contain_text("Deposits paused")
        assert core.paused == {}


def test_a_day_is_previewed_allocated_and_replayed(browser: Browser) -> None:
    """Only what was previewed can be allocated; a replay says that it holds, or what differs."""
    core = TroubledMoney("well")
    with serving(core) as url, desk(browser, url) as pages:
        visit(pages, "rewards")
        day = pages.panel("A day’s rewards")
        allocate = day.get_by_role("button", name="Allocate", exact=True)
        day.get_by_label("Day").fill("2026-11-20")
        expect(allocate).to_be_disabled()
        day.get_by_role("button", name="Preview").click()
        expect(day).to_contain_text("preview, nothing has changed")
        assert core.allocated == set()
        day.get_by_label("Day").fill("2026-11-19")
        expect(allocate).to_be_disabled()
        day.get_by_label("Day").fill("2026-11-20")
        allocate.click()
        dialog = pages.page.get_by_role("dialog")
        expect(dialog).to_contain_text("31.3 HMT for 2026-11-20 is credited")
        assert pages.barriers() == []
        dialog.get_by_role("button", name="Allocate").click()
        expect(dialog).to_be_hidden()
        expect(day.get_by_role("status")).to_contain_text("allocated")
        assert core.allocated == {NOW_MS - NOW_MS % 86_400_000 - 86_400_000}
        expect(pages.panel("Allocation runs").locator("tbody tr").first).to_contain_text("2026-11-20")

        day.get_by_role("button", name="Replay").click()
        verdict = day.get_by_role("status")
        expect(verdict).to_contain_text("Computed again")
        first = verdict.inner_text()
        day.get_by_label("Day").fill("2026-11-19")
        day.get_by_role("button", name="Replay").click()
        expect(verdict).not_to_have_text(first)
        expect(verdict).to_contain_text("Computed again")
        assert {"every amount is the same" in said for said in (first, verdict.inner_text())} == {True, False}
        expect(pages.page.locator("main")).to_contain_text("recorded 3.13")


def test_seals_are_checked_in_the_browser(browser: Browser, troubled: str) -> None:
    """Of three seals the one with a forged signature is marked, and a new one joins the list."""
    with desk(browser, troubled) as pages:
        visit(pages, "ledger")
        seals = pages.panel("Seals")
        expect(seals.locator("tbody tr").nth(0)).to_contain_text("signature holds")
        expect(seals.locator("tbody tr").nth(1)).to_contain_text("signature does not hold")
        expect(seals.locator("tbody tr").nth(2)).to_contain_text("signature holds")
    with serving(TroubledMoney("well")) as url, desk(browser, url) as pages:
        visit(pages, "ledger")
        seals = pages.panel("Seals")
        expect(seals.locator("tbody tr")).to_have_count(3)
        seals.get_by_role("button", name="Seal now").click()
        dialog = pages.page.get_by_role("dialog")
        expect(dialog).to_contain_text("It moves no money")
        dialog.get_by_role("button", name="Seal now").click()
        expect(seals.locator("tbody tr")).to_have_count(4)
        expect(seals.get_by_text("signature holds")).to_have_count(4)


def test_an_entry_is_checked_in_the_browser(browser: Browser, troubled: str) -> None:
    """The hash is recomputed from the bytes; an entry that shows something else is found out."""
    with desk(browser, troubled) as pages:
        visit(pages, f"ledger/{GROUPS - 20}")
        panel = pages.panel(f"Entry {GROUPS - 20}")
        expect(panel).to_contain_text("hash holds")
        expect(panel).to_contain_text(f"group-{GROUPS - 21}")
        panel.get_by_text("The bytes under the hash").click()
        expect(panel.locator("pre")).to_contain_text('"REVERSAL"')
        assert pages.barriers() == []
        pages.page.get_by_role("link", name="Before").click()
        expect(pages.panel(f"Entry {GROUPS - 21}")).to_contain_text("rejected")
        expect(pages.panel(f"Entry {GROUPS - 21}")).to_contain_text("It moved nothing")
        visit(pages, "ledger/5")
        expect(pages.panel("Entry 5")).to_contain_text("what is shown is not what was recorded")
        visit(pages, f"ledger/{GROUPS + 1}")
        expect(pages.panel(f"Entry {GROUPS + 1}").get_by_role("alert")).to_be_visible()


@pytest.mark.processes
def test_real_books_hold_in_the_browser(browser: Browser, instance: RunningInstance) -> None:
    """A real instance's new seal and its newest entries are found sound by the page's own arithmetic."""
    with desk(browser, instance.url) as pages:
        visit(pages, "ledger")
        seals = pages.panel("Seals")
        seals.get_by_role("button", name="Seal now").click()
        pages.page.get_by_role("dialog").get_by_role("button", name="Seal now").click()
        expect(seals.get_by_text("signature holds").first).to_be_visible()
        sealed = pages.answer("/ledger/seals?limit=1")[0]["seq"]
        for seq in (1, sealed):
            visit(pages, f"ledger/{seq}")
            expect(pages.panel(f"Entry {seq}")).to_contain_text("hash holds")
        assert pages.complaints == []


def test_the_ledger_is_filtered_by_its_address(browser: Browser, troubled: str) -> None:
    """Account, asset and kind are in the address, so going back brings the former list."""
    with desk(browser, troubled) as pages:
        visit(pages, "ledger")
        ledger = pages.panel("Ledger")
        expect(ledger.locator("tbody tr")).to_have_count(50)
        ledger.get_by_label("Kind").select_option("REVERSAL")
        ledger.get_by_role("button", name="Filter").click()
        expect(ledger.locator("tbody tr")).to_have_count(2)
        assert pages.page.url.endswith("/admin/ledger?kind=REVERSAL")
        ledger.get_by_role("link", name="100", exact=True).click()
        pages.page.get_by_role("link", name="user:alice").click()
        expect(pages.panel("Ledger").get_by_label("Account")).to_have_value("user:alice")
        pages.page.go_back()
        pages.page.go_back()
        expect(pages.panel("Ledger").locator("tbody tr")).to_have_count(2)
        pages.panel("Ledger").get_by_role("button", name="Show all").click()
        expect(pages.panel("Ledger").locator("tbody tr")).to_have_count(50)
        pages.panel("Ledger").get_by_role("button", name="Show older").click()
        expect(pages.panel("Ledger").locator("tbody tr")).to_have_count(100)
        assert pages.complaints == []


def test_periods_add_up_and_turn(browser: Browser, troubled: str) -> None:
    """The totals are the exact sums of what the API gives, and weeks take the place of days."""
    with desk(browser, troubled) as pages:
        visit(pages, "performance")
        panel = pages.panel("Volume, fees and result")
        expect(panel.locator("tbody tr")).to_have_count(10)
        figures = panel.locator("dl data").evaluate_all("(all) => all.map((one) => one.value)")
        assert figures == ["75001", "-9.5", "15", "0.4", "30"]
        panel.get_by_role("radio", name="Result").check(force=True)
        expect(panel.get_by_role("img")).to_have_accessible_name(
            "Result by period; the table below has the figures"
        )
        with pages.page.expect_response(lambda answer: "period=week" in answer.url):
            panel.get_by_role("radio", name="Week").check(force=True)
        expect(panel.locator("tbody tr").nth(1)).to_contain_text("2026-11-14")
        assert len(rows(pages, "Trades")) == 100
        pages.panel("Trades").get_by_role("button", name="Show older").click()
        expect(pages.panel("Trades").locator("tbody tr")).to_have_count(130)


def test_users_lead_to_their_movements(browser: Browser, troubled: str) -> None:
    """The list adds up exactly, and a name opens what the ledger says of that user."""
    with desk(browser, troubled) as pages:
        visit(pages, "users")
        panel = pages.panel("Depositors")
        expect(panel.locator("dl data[value='1617540.073009580000182668']")).to_be_visible()
        panel.get_by_role("link", name="alice").click()
        expect(pages.panel("Ledger").get_by_label("Account")).to_have_value("user:alice")


def test_a_failing_instance_is_said_and_old_figures_are_greyed(browser: Browser, troubled: str) -> None:
    """A first question that fails offers to try again; a later one keeps the rows, marked as old."""
    with desk(browser, troubled) as pages:
        pages.page.route("**/api/v1/admin/users", lambda route: route.abort())
        pages.page.goto(f"{troubled}/admin/users")
        panel = pages.panel("Depositors")
        expect(panel.get_by_role("alert")).to_be_visible()
        pages.page.unroute("**/api/v1/admin/users")
        panel.get_by_role("button", name="Try again").click()
        expect(panel.locator("tbody tr")).to_have_count(3)
        pages.page.route("**/api/v1/admin/users", lambda route: route.abort())
        expect(panel).to_have_attribute("data-stale", "true")
        expect(panel.locator("tbody tr")).to_have_count(3)
        assert pages.barriers() == []
