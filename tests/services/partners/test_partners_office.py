"""Campaigns and partners for the API: what anybody sees, what the owner sees, what is asked of whom."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pytest

from campaigns.campaign_stage import CHAIN, CYCLE_MS, HMT, START_MS, TOKEN, CampaignStage, offer, payout
from mrmarket.campaigns.ports import OfferSeen, OfferState
from mrmarket.campaigns.terms import Progress
from mrmarket.core.clock import ManualClock
from mrmarket.core.errors import MrMarketError
from mrmarket.core.money import Asset
from mrmarket.money.payouts.port import IncomingPage, PayTo, SendReport, SendRequest
from mrmarket.partners.chains import payments
from mrmarket.partners.chains.book import ChainBook
from mrmarket.partners.chains.payment import Payment, PaymentState
from mrmarket.partners.chains.settings import ChainSettings, SpendingLimit, TokenSettings, VaultSettings
from mrmarket.partners.chains.transfer import Block
from mrmarket.partners.hufi.drift import DriftKind, DriftReport
from mrmarket.services.api.partner_schema import Wish
from mrmarket.services.api.refusals import NotFoundError, PartnersOffError
from mrmarket.services.partners.heard import HeardProgress
from mrmarket.services.partners.office import PartnersDesk, PartnersOffice
from mrmarket.services.partners.sights import ChainPart, HufiPart, MixinPart, VaultPart
from mrmarket.services.partners.vault_reading import LiveVault
from services.partners.reward_journey import TEN, allocation, credit, enter, plan, tell

TOKEN_ADDRESS = "0x" + "bb" * 20
ACCOUNT = "0x" + "ab" * 20
DESTINATION = "0x" + "cd" * 20


class AwayError(MrMarketError):
    """Somebody does not answer."""

    code = "away"

    def __init__(self) -> None:
        super().__init__("nobody is there; ask again later")


class Node:
    """A node with some coins, or one that is away."""

    def __init__(self, *, away: bool = False) -> None:
        self.away = away

    async def head(self) -> Block:
        """The newest block."""
        self._answer()
        return Block(120, "0xh", "0xp", 0)

    async def coins(self, address: str) -> int:
        """Wei."""
        self._answer()
        return 15 * 10**17

    async def token_units(self, token: str, address: str) -> int:
        """Of one token, half."""
        self._answer()
        return 5 * 10**17

    def _answer(self) -> None:
        if self.away:
            raise AwayError


class Rail:
    """A payment rail that only tells what it holds."""

    name = "mixin"
    settle_ms = 1

    def assets(self) -> list[Asset]:
        """One."""
        return [HMT]

    def valid_destination(self, text: str) -> str | None:
        """None."""
        return None

    async def instructions(self, user: str, memo: str) -> PayTo:
        """Nobody pays here."""
        raise AwayError

    async def incoming(self, cursor: str, limit: int) -> IncomingPage:
        """Nothing comes in."""
        raise AwayError

    async def send(self, request: SendRequest) -> SendReport:
        """Nothing goes out."""
        raise AwayError

    async def find(self, key: str) -> SendReport:
        """Nothing is known."""
        raise AwayError

    async def balances(self) -> dict[str, int]:
        """Two and a half."""
        return {"HMT": 250_000_000}


class Wishes:
    """The owner's words, kept in a list."""

    def __init__(self) -> None:
        self.said: dict[str, Wish] = {}

    async def wish(self, campaign: str, wish: Wish, by: str) -> None:
        """Keep it."""
        self.said[campaign] = wish

    def standing(self) -> Mapping[str, Wish]:
        """All of them."""
        return self.said


class Sweeper:
    """Begins transfers at once."""

    def __init__(self, stage: CampaignStage) -> None:
        self.stage = stage
        self.asked: list[str] = []

    async def sweep_now(self, by: str) -> None:
        """Plan what waits."""
        self.asked.append(by)
        plan(self.stage)


def chain_part(book: ChainBook, node: Node) -> ChainPart:
    """The chain that campaigns of the stage pay on."""
    token = TokenSettings(code="HMT", address=TOKEN_ADDRESS, decimals=18)
    settings = ChainSettings(
        name="sandbox", chain_id=CHAIN, urls=["http://127.0.0.1:1"], confirmations=3, tokens=[token]
    )
    return ChainPart(settings, node, book, "https://explorer.example/tx/")


def vault_part(chain: ChainPart) -> VaultPart:
    """An account with a limit on that chain."""
    limits = [SpendingLimit(token=TOKEN_ADDRESS, units=100 * 10**18)]
    settings = VaultSettings(destinations=[DESTINATION], limits=limits)
    return VaultPart(chain, ACCOUNT, lambda: settings, lambda: 1_000_000)


async def named() -> str:
    """The bot's name."""
    return "Mr. Market"


async def unnamed() -> str:
    """Mixin is away."""
    raise AwayError


@pytest.fixture
def office(stage: CampaignStage) -> PartnersOffice:
    """Nobody is configured."""
    return PartnersOffice(stage.reader, stage.clock)


async def test_without_partners_the_answers_are_empty_and_honest(
    office: PartnersOffice, stage: CampaignStage
) -> None:
    """Ten empty columns, nobody configured, and what would need somebody is refused."""
    board = await office.campaigns()
    assert [(column.stage, column.cards) for column in board.columns][:2] == [
        ("discovered", []),
        ("joinable", []),
    ]
    assert (len(board.columns), board.at_ms) == (10, START_MS)
    seen = await office.partners()
    assert (seen.configured, seen.chains, seen.vaults, seen.mixin, seen.hufi) == (False, [], [], None, None)
    assert (seen.can_sweep, seen.can_wish, seen.sweeps.plans) == (False, False, [])
    with pytest.raises(PartnersOffError):
        await office.sweep_now("owner")
    with pytest.raises(PartnersOffError):
        await office.wish(offer().id, "join", "owner")
    for asked in (office.campaign("nothing"), office.campaign_notes("nothing"), office.trace("nothing")):
        with pytest.raises(NotFoundError):
            await asked


async def test_a_running_campaign_is_shown_with_its_cycle(stage: CampaignStage) -> None:
    """Volume as it was last heard, what is expected and wanted; the owner's notes are the owner's."""
    heard = HeardProgress(stage.world)
    await stage.rounds.step()
    joined = stage.campaign()
    stage.world.cycle_progress = Progress(
        Decimal("12.5"), Decimal(50), Decimal(0), Decimal(100), Decimal(10), 3 * 10**18, "hand"
    )
    assert heard.last(joined.id, 0) is None
    await heard.progress(joined, 0)
    await stage.rounds.step()
    office = PartnersOffice(stage.reader, stage.clock, PartnersDesk(progress=heard.last))
    page = await office.campaign(joined.id)
    card = page.card
    assert (card.stage, card.joined, card.cycle, card.cycle_end_ms) == (
        "active",
        True,
        0,
        START_MS + CYCLE_MS,
    )
    assert (card.volume, card.goal, card.target, card.expected) == ("12.5", "962.5", "1000", "3")
    assert (card.fund, card.paid, card.token, card.pause) == ("900", "0", "HMT", "none")
    assert page.owner is None
    assert page.cycles[0].difference is None
    notes = (await office.campaign_notes(joined.id)).owner
    assert notes is not None
    assert (notes.account, notes.wish, notes.value, notes.price_source) == (
        "main",
        "automatic",
        "100",
        "hand",
    )
    assert [event.stage for event in notes.events][-1] == "active"
    stage.world.cycle_progress = None
    await heard.progress(joined, 1)
    assert heard.last(joined.id, 1) is None


async def test_payouts_are_compared_with_what_was_expected(stage: CampaignStage) -> None:
    """Once a cycle was paid for, and with where each payout stands."""
    await enter(stage)
    office = PartnersOffice(stage.reader, stage.clock)
    page = await office.campaign(offer().id)
    first = page.cycles[0]
    assert (first.paid, first.expected is not None) == ("10", True)
    assert first.difference == str(Decimal(10) - Decimal(first.expected or "0"))
    (paid,) = page.payouts
    assert (paid.tx, paid.state, paid.amount, paid.chain_id) == ("0x01", "entered", "10", CHAIN)
    plan(stage)
    assert (await office.campaign(offer().id)).payouts[0].state == "sweeping"


async def test_a_user_follows_their_own_reward_and_nobody_elses(stage: CampaignStage) -> None:
    """Another's allocation looks like one that does not exist; the owner follows any by any of its names."""
    entry = await credit(stage)
    office = PartnersOffice(stage.reader, stage.clock)
    mine = allocation(stage, "user:ann")
    assert (await office.own_trace("ann", mine)).amount == "7.425"
    refusals = []
    for asked in (mine, mine.replace("user:ann", "user:nobody"), "nothing", "nothing:user:bob"):
        with pytest.raises(NotFoundError) as refused:
            await office.own_trace("bob", asked)
        refusals.append(str(refused.value).replace(asked, "…"))
    assert len(set(refusals)) == 1
    assert (await office.trace(mine)).account == "user:ann"
    for name in (entry.id, "0x01", mine.partition(":")[0]):
        assert (await office.trace(name)).amount == "10"


async def test_transactions_are_linked_where_an_explorer_is_known(
    stage: CampaignStage, tmp_path: Path
) -> None:
    """Of the chains that are in the trace, and no other."""
    await credit(stage)
    book = ChainBook.open(tmp_path / "chains.db")
    office = PartnersOffice(
        stage.reader, stage.clock, PartnersDesk(chains=(chain_part(book, Node()),)), LiveVault(book)
    )
    trace = await office.own_trace("ann", allocation(stage, "user:ann"))
    assert trace.explorers == {str(CHAIN): "https://explorer.example/tx/"}
    assert (await office.campaign(offer().id)).explorers == trace.explorers
    book.close()


async def test_the_owners_word_is_kept_and_shown(stage: CampaignStage) -> None:
    """Join, leave, and by the rules again; of a campaign that does not exist nothing is kept."""
    await stage.rounds.step()
    wishes = Wishes()
    office = PartnersOffice(stage.reader, stage.clock, PartnersDesk(wishes=wishes))
    page = await office.wish(offer().id, "leave", "owner")
    assert page.owner is not None
    assert page.owner.wish == "leave"
    with pytest.raises(NotFoundError):
        await office.wish("nothing", "join", "owner")
    assert wishes.said == {offer().id: "leave"}


async def test_what_waits_in_the_vault_is_told_before_it_is_moved(stage: CampaignStage) -> None:
    """A dry run moves nothing; the real one is under way at once, by the same key as the cycle's."""
    await enter(stage, payout(units=TEN + 123), payout("0x02", units=TEN))
    sweeper = Sweeper(stage)
    office = PartnersOffice(stage.reader, stage.clock, PartnersDesk(sweeper=sweeper))
    waits = await office.sweeps()
    assert [(one.amount, one.payouts, one.code) for one in waits.plans] == [("20", 2, "HMT")]
    assert waits.under_way == []
    after = await office.sweep_now("owner")
    assert sweeper.asked == ["owner"]
    assert after.plans == []
    (under_way,) = after.under_way
    assert (under_way.amount, under_way.payouts, under_way.state) == ("20", 2, "")
    assert under_way.key.startswith(f"sweep:{CHAIN}:{TOKEN}:")


async def test_a_campaign_nobody_knows_leaves_no_waiting_money(stage: CampaignStage) -> None:
    """A parked payout is shown by its count, and is not in what a transfer would move."""
    await stage.rounds.step()
    tell(stage, payout(cycle=9))
    await stage.rounds.step()
    office = PartnersOffice(stage.reader, stage.clock)
    assert (await office.campaign(offer().id)).card.parked == 1
    assert (await office.sweeps()).plans == []


async def test_partners_are_shown_as_they_are_now(stage: CampaignStage, tmp_path: Path) -> None:
    """Head, lag, balances, limits, latest transfers, drift and troubles; each from whoever knows it."""
    book = ChainBook.open(tmp_path / "chains.db")
    with book.transaction() as sql:
        payments.add_payment(
            sql,
            Payment(
                "sweep:1", CHAIN, ACCOUNT, 4, TOKEN_ADDRESS, DESTINATION, TEN, 60_000,
                PaymentState.MINED, 900_000, 900_001, tx_hash="0x05",
            ),
        )  # fmt: skip
        sql.run("INSERT INTO chain_blocks VALUES (?, 117, '0x', '0x', 0)", CHAIN)
        sql.run("INSERT INTO chain_cursors VALUES (?, 1, 114, 'a person must look')", CHAIN)
    chain = chain_part(book, Node())
    drift = DriftReport(ManualClock())
    drift.note(DriftKind.UNKNOWN_FIELD, "GET /campaigns", "results[].sponsor")
    desk = PartnersDesk(
        chains=(chain,),
        vaults=(vault_part(chain),),
        mixin=MixinPart("app", named, Rail(), lambda: 2),
        hufi=HufiPart("0xwe", lambda: True, drift),
        unclear=lambda: ["the oracle did not answer"],
    )
    seen = await PartnersOffice(stage.reader, stage.clock, desk, LiveVault(book)).partners()
    (one,) = seen.chains
    assert (one.head, one.read, one.final, one.lag, one.confirmations) == (120, 117, 114, 3, 3)
    assert (one.halted, one.problem) == ("a person must look", "")
    (vault,) = seen.vaults
    assert (vault.coins, vault.next_nonce, vault.pending, vault.destinations) == ("1.5", 5, 1, [DESTINATION])
    (token,) = vault.tokens
    assert (token.balance, token.limit, token.spent, token.waiting) == ("0.5", "100", "10", "0")
    (moved,) = vault.latest
    assert (moved.state, moved.amount, moved.token, moved.tx) == ("mined", "10", "HMT", "0x05")
    assert seen.mixin is not None
    assert (seen.mixin.name, seen.mixin.pending) == ("Mr. Market", 2)
    assert [(each.asset, each.amount) for each in seen.mixin.balances] == [("HMT", "2.5")]
    assert seen.hufi is not None
    assert (seen.hufi.login, [each.subject for each in seen.hufi.drifts]) == ("in", ["results[].sponsor"])
    assert (seen.configured, seen.unclear) == (True, ["the oracle did not answer"])
    book.close()


async def test_who_does_not_answer_is_shown_with_the_reason(stage: CampaignStage, tmp_path: Path) -> None:
    """A node and a bot that are away leave their figures out; what is in our own file is still there."""
    book = ChainBook.open(tmp_path / "chains.db")
    chain = chain_part(book, Node(away=True))
    desk = PartnersDesk(
        chains=(chain,),
        vaults=(vault_part(chain),),
        mixin=MixinPart("app", unnamed, Rail(), lambda: 0),
        hufi=HufiPart("0xwe", lambda: False, DriftReport(ManualClock()), lambda: "refused"),
    )
    seen = await PartnersOffice(stage.reader, stage.clock, desk).partners()
    assert (seen.chains[0].head, seen.chains[0].lag, seen.chains[0].read) == (None, None, None)
    assert "nobody is there" in seen.chains[0].problem
    assert (seen.vaults[0].coins, seen.vaults[0].tokens[0].balance) == (None, None)
    assert "nobody is there" in seen.vaults[0].problem
    assert seen.mixin is not None
    assert (seen.mixin.name, seen.mixin.balances) == ("", [])
    assert seen.hufi is not None
    assert (seen.hufi.login, seen.hufi.problem) == ("out", "refused")
    book.close()


async def test_an_offer_that_is_only_found_has_no_goal(stage: CampaignStage) -> None:
    """Its card says what it would pay, and that we are not in."""
    stage.world.offers.append(OfferSeen(offer("0xbb", market="BTC/USDT"), OfferState.OPEN))
    stage.world.silent.add("status")
    await stage.rounds.discover(await stage.rounds.step())
    board = await PartnersOffice(stage.reader, stage.clock).campaigns()
    cards = [card for column in board.columns for card in column.cards]
    assert len(cards) == 2
    assert {(card.joined, card.goal, card.volume, card.expected) for card in cards} == {
        (False, None, None, None)
    }
