"""The progress job: closes cycles that have ended, writes the document of results, and has them paid."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal

from mrmarket.campaigns.offer import Measure
from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.money.rewards.campaign import Span
from mrmarket.partners.hufi.manifest import write_date
from mrmarket.partners.hufi.results import (
    BatchRow,
    CycleRow,
    OutcomeRow,
    ResultsDocument,
    competitive_batch,
    reserved_text,
    write_results,
)
from mrmarket.partners.hufi.sandbox.book import LaunchedCampaign, Participant, SandboxBook, Settling, Status
from mrmarket.partners.hufi.sandbox.feed import ExchangeFeed, Payment, Settlement
from mrmarket.partners.hufi.score import (
    ONE,
    SCALE,
    Standing,
    held_standing,
    payouts,
    pool_units,
    tally,
    traded_standing,
)


class Recorder:
    """Closes cycles, in order, each once; several that were missed in one go."""

    def __init__(
        self,
        book: SandboxBook,
        feed: ExchangeFeed,
        settlement: Settlement,
        clock: Clock,
        new_id: Callable[[], str],
        *,
        batch_size: int = 100,
    ) -> None:
        """`clock` is the world's."""
        self._book = book
        self._feed = feed
        self._settlement = settlement
        self._clock = clock
        self._new_id = new_id
        self._batch_size = batch_size

    async def record_due(self, base_url: str) -> int:
        """Close every cycle that has ended; how many."""
        now_ms = self._clock.now_ns() // NS_PER_MS
        closed = 0
        for campaign in list(self._book.campaigns.values()):
            closed += await self._record(campaign, now_ms, base_url)
        return closed

    async def standings(self, campaign: LaunchedCampaign, span: Span) -> list[Standing]:
        """Standings in a window; who shares a deposit address with somebody earlier is left out."""
        found: list[Standing] = []
        addresses: set[str] = set()
        exchange = campaign.offer.exchange
        for one in sorted(campaign.participants, key=lambda one: (one.joined_ms, one.wallet)):
            identity = self._book.identity(one.wallet, exchange)
            if identity is None or await self._feed.permissions(exchange, identity) is None:
                continue
            address = await self._feed.deposit_address(exchange, identity)
            if address in addresses:
                continue
            addresses.add(address)
            found.append(await self._standing(campaign, one, identity, span))
        return found

    async def _standing(
        self, campaign: LaunchedCampaign, one: Participant, identity: str, span: Span
    ) -> Standing:
        offer = campaign.offer
        if offer.measure.is_traded:
            trades = await self._feed.trades(
                offer.exchange, identity, offer.market, span.start_ms, span.end_ms
            )
            return traded_standing(offer, one.wallet, tally(trades, span, one.joined_ms))
        units = await self._feed.balance(offer.exchange, identity, offer.market)
        return held_standing(offer, one.wallet, units)

    async def _record(self, campaign: LaunchedCampaign, now_ms: int, base_url: str) -> int:
        """Close what is due. What was computed is written down first, and is what is paid after any crash."""
        if campaign.status.is_over:
            return 0
        if campaign.settling is None:
            campaign.settling = await self._compute(campaign, now_ms)
            if campaign.settling is None:
                return 0
            self._book.changed()
        settling = campaign.settling
        await self._settle(campaign, settling, base_url)
        campaign.settling = None
        campaign.recorded += settling.cycles
        campaign.paid_units += sum(units for _, units in settling.by_day)
        campaign.paid_by_day += settling.by_day
        if settling.is_over:
            campaign.status = Status.CANCELLED if campaign.cancel_ms else Status.COMPLETED
            campaign.finalized_ms = now_ms
        self._book.changed()
        return settling.cycles

    async def _compute(self, campaign: LaunchedCampaign, now_ms: int) -> Settling | None:
        """The cycles that have ended, each with its payments; None where nothing is due."""
        offer = campaign.offer
        due: list[tuple[int, Span, dict[str, int], CycleRow]] = []
        reserved = 0
        while campaign.recorded + len(due) < offer.cycles:
            number = campaign.recorded + len(due)
            span = offer.cycle(number)
            end_ms = min(span.end_ms, campaign.ends_ms)
            if end_ms > now_ms or end_ms <= span.start_ms:
                break
            span = Span(span.start_ms, end_ms)
            standings = await self.standings(campaign, span)
            units = pool_units(offer, standings)
            reserved += units
            due.append((number, span, payouts(offer, standings), self._row(campaign, span, standings, units)))
            self._drop_idle(campaign, standings)
        last_ms = due[-1][1].end_ms if due else 0
        is_over = campaign.ends_ms <= now_ms and (not due or last_ms == campaign.ends_ms)
        if not due and not is_over:
            return None
        payments: list[Payment] = []
        for number, span, parts, row in due:
            is_last = is_over and span.end_ms == last_ms
            payments += _payments(campaign, number, parts, row, is_last=is_last)
        return Settling(
            name=self._publish(campaign, [row for *_, row in due], reserved) if due else "",
            reserved_units=reserved,
            cycles=len(due),
            payments=tuple(payments),
            by_day=tuple((span.start_ms, sum(parts.values())) for _, span, parts, _ in due),
            is_over=is_over,
        )

    def _publish(self, campaign: LaunchedCampaign, rows: list[CycleRow], reserved: int) -> str:
        """Write the document with the new rows; its name."""
        offer = campaign.offer
        campaign.rows += rows
        document = ResultsDocument(offer.chain_id, offer.address, offer.exchange, offer.market, campaign.rows)
        campaign.document, campaign.document_hash = write_results(document)
        campaign.reserved_units += reserved
        name = f"{offer.address}/{campaign.document_hash}.json"
        self._book.files[name] = campaign.document
        return name

    async def _settle(self, campaign: LaunchedCampaign, settling: Settling, base_url: str) -> None:
        """Have it stored and paid; both may have been begun before a crash, which the settlement sees."""
        offer = campaign.offer
        if settling.name:
            url = f"{base_url}/files/{settling.name}"
            await self._settlement.store(
                offer.chain_id, offer.address, url, campaign.document_hash, settling.reserved_units
            )
        for payment in settling.payments:
            await self._settlement.pay(payment)

    def _row(
        self, campaign: LaunchedCampaign, span: Span, standings: Sequence[Standing], units: int
    ) -> CycleRow:
        offer = campaign.offer
        is_traded = offer.measure.is_traded
        size = self._batch_size
        if offer.measure is Measure.RANKED_VOLUME:
            size = max(1, len(standings))
        batches = [
            BatchRow(
                competitive_batch(span) if offer.measure is Measure.RANKED_VOLUME else self._new_id(),
                [outcome(campaign, one) for one in standings[first : first + size]],
            )
            for first in range(0, len(standings), size)
        ]
        total = Decimal(sum(one.result_units for one in standings)) / SCALE
        return CycleRow(
            start=write_date(span.start_ms),
            end=write_date(span.end_ms),
            reserved_funds=reserved_text(units, offer.token.decimals),
            participants_outcomes_batches=batches,
            total_volume=total if is_traded else None,
            total_balance=None if is_traded else total,
        )

    def _drop_idle(self, campaign: LaunchedCampaign, standings: Sequence[Standing]) -> None:
        """Of a threshold of balances with slots, who did not reach it loses the slot and must join again."""
        offer = campaign.offer
        if offer.measure is Measure.THRESHOLD_BALANCE and offer.max_participants is not None:
            kept = {one.address for one in standings if one.score}
            campaign.participants = [one for one in campaign.participants if one.wallet in kept]


def _payments(
    campaign: LaunchedCampaign, number: int, parts: Mapping[str, int], row: CycleRow, *, is_last: bool
) -> Iterator[Payment]:
    """What each batch of a cycle pays; the last of a campaign is there even if it pays nobody."""
    offer, batches = campaign.offer, row.participants_outcomes_batches
    for place, batch in enumerate(batches):
        paid = {one.address: parts[one.address] for one in batch.results if one.address in parts}
        is_end = is_last and place == len(batches) - 1
        if paid or is_end:
            yield Payment(offer.chain_id, offer.address, number, batch.id, paid, is_end)
    if is_last and not batches:
        yield Payment(offer.chain_id, offer.address, number, "", {}, is_last=True)


def outcome(campaign: LaunchedCampaign, one: Standing) -> OutcomeRow:
    """A standing in HuFi's figures."""
    score, result = figures(campaign, one)
    is_traded = campaign.offer.measure.is_traded
    return OutcomeRow(
        one.address,
        score,
        total_volume=result if is_traded else None,
        token_balance=None if is_traded else result,
    )


def figures(campaign: LaunchedCampaign, one: Standing) -> tuple[Decimal, Decimal]:
    """Score and result of a standing in HuFi's figures."""
    measure = campaign.offer.measure
    if measure in {Measure.THRESHOLD_VOLUME, Measure.THRESHOLD_BALANCE}:
        score = Decimal(one.score)
    else:
        score = Decimal(one.score) / (SCALE * ONE if measure.is_traded else SCALE)
    return score, Decimal(one.result_units) / SCALE
