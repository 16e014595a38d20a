"""Money between the venues of one candidate: planned, approved, moved once, followed, and counted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

import msgspec
import structlog

from mrmarket.core.clock import NS_PER_MS, NS_PER_S, Clock
from mrmarket.core.errors import InvalidInputError
from mrmarket.core.notice import Notice, NoticeSink, Severity
from mrmarket.services.selection.memory import SelectionMemory
from mrmarket.services.selection.section import RebalanceSection
from mrmarket.store.errors import StoreError
from mrmarket.trading.strategy.rebalance.machine import TransferStage, TransferState
from mrmarket.trading.strategy.rebalance.plan import Move, RebalancePlan, Wanted, equally
from mrmarket.trading.strategy.rebalance.port import TransferPort
from mrmarket.trading.strategy.rebalance.rebalancer import Rebalancer
from mrmarket.trading.venue.simulated.records import UNITS_PER_WHOLE

Price = Callable[[str], Decimal | None]
"""Quote for one of an asset; None while that is not known."""
BY_LIMIT: Final = "limit"
"""Who has approved what is worth no more than the limit."""
_STEP_S: Final = 1.0
_log = structlog.get_logger("mrmarket.rebalance")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A plan that waits for its approval; a restart plans anew."""

    id: str
    asset: str
    plan: RebalancePlan
    value: Decimal
    """Of all that it moves, in quote."""
    at_ns: int
    """By the wall clock."""


class Book(msgspec.Struct, kw_only=True):
    """What outlives a restart."""

    run: str
    """A part of every key: two books never share one."""
    numbers: dict[str, int] = {}
    """Of the last plan, by asset."""
    transfers: dict[str, list[TransferState]] = {}
    """Of the last plan, by asset."""
    approved: dict[str, str] = {}
    """Who has approved the last plan, by asset."""


class Rebalancing:
    """All assets of one candidate. One task drives it; approvals may come at any time."""

    def __init__(
        self,
        candidate: str,
        assets: tuple[str, ...],
        places: tuple[str, ...],
        port: TransferPort,
        section: RebalanceSection,
        memory: SelectionMemory,
        clock: Clock,
        notices: NoticeSink,
        *,
        price: Price,
        expected: Callable[[], float],
        charge: Callable[[float], None],
    ) -> None:
        """Nothing is planned yet.

        Args:
            candidate: whose accounts they are.
            assets: what is moved.
            places: where it lies.
            port: moves it.
            section: `[selection.rebalance]`.
            memory: where transfers are kept.
            clock: the wall's.
            notices: who hears of plans that wait, and of transfers that do not arrive.
            price: of an asset.
            expected: what the candidate earns, as a fraction of its capital per hour.
            charge: told what transfers have cost, in quote.
        """
        self.candidate = candidate
        self.places = places
        self.proposals: dict[str, Proposal] = {}
        """Plans that wait, by asset."""
        self.left: dict[str, tuple[str, ...]] = {}
        """For people, by asset: why something that is off its target stays where it is."""
        self.problem = ""
        """Why nothing is moved any more; empty while all is well."""
        self._assets = assets
        self._port = port
        self._section = section
        self._memory = memory
        self._clock = clock
        self._notices = notices
        self._price = price
        self._expected = expected
        self._charge = charge
        self._book = Book(run=f"rb{clock.now_ns() // NS_PER_MS:x}")
        self._rebalancers: dict[str, Rebalancer] = {}
        self._looked_ns: dict[str, int] = {}
        self._charged: set[str] = set()
        self._stepping = asyncio.Lock()

    @property
    def book(self) -> Book:
        """What is under way, for whoever shows it."""
        return self._book

    async def keep(self) -> None:
        """Recover, then go on until cancelled; a database that is away puts everything off."""
        while not self.problem:
            try:
                if not self._rebalancers:
                    await self.recover()
                await self.step()
            except StoreError as error:
                _log.warning("moving money between venues waits for the database", error=str(error))
            await asyncio.sleep(_STEP_S)

    async def recover(self) -> None:
        """Go on with what an earlier life has begun. Raises a StoreError."""
        kept = await self._memory.transfers(self.candidate)
        if kept is not None:
            try:
                self._book = msgspec.json.decode(kept, type=Book)
            except (msgspec.MsgspecError, RecursionError) as error:
                # To begin anew could move money twice: what is under way is for a person to look at.
                self.problem = f"what was under way cannot be read ({error}); nothing is moved"
                _log.error("moving money between venues has ended", problem=self.problem)
                return
        for asset in self._assets:
            self._rebalancers[asset] = made = Rebalancer(
                f"{self._book.run}-{asset}",
                asset,
                Wanted(equally(*self.places), band=Fraction(str(self._section.band))),
                self._port,
                self._clock,
                gain=self._gain,
                on_late=self._late,
                keep=self._keep,
                number=self._book.numbers.get(asset, 0),
            )
            transfers = self._book.transfers.get(asset, [])
            self._charged |= {each.order.key for each in transfers if each.stage is TransferStage.ARRIVED}
            made.adopt(transfers)

    async def step(self) -> None:
        """Do whatever is due. Raises a StoreError; nothing is sent that is not written down."""
        async with self._stepping:
            for asset, rebalancer in self._rebalancers.items():
                if rebalancer.is_at_work:
                    await rebalancer.follow()
                    self._count(rebalancer)
                    continue
                now_ns = self._clock.now_ns()
                waiting = self.proposals.get(asset)
                if waiting is not None:
                    if now_ns - waiting.at_ns >= self._section.proposal_s * NS_PER_S:
                        self._drop(asset)
                    continue
                if now_ns - self._looked_ns.get(asset, 0) >= self._section.every_s * NS_PER_S:
                    self._looked_ns[asset] = now_ns
                    await self._look(asset, rebalancer)

    async def approve(self, proposal: str, by: str) -> None:
        """Have a plan carried out as it stands.

        Raises:
            InvalidInputError: it does not wait, or not any more.
            StoreError: it could not be written down; nothing is sent.
        """
        async with self._stepping:
            found = self._find(proposal)
            await self._begin(found, by)

    async def decline(self, proposal: str) -> None:
        """Drop a plan; another look is taken in due time. Raises an `InvalidInputError` as `approve`."""
        async with self._stepping:
            self._drop(self._find(proposal).asset)

    def _find(self, proposal: str) -> Proposal:
        for each in self.proposals.values():
            if each.id == proposal:
                return each
        waiting = ", ".join(each.id for each in self.proposals.values())
        raise InvalidInputError("proposal", proposal, f"one that waits: {waiting or 'none does'}")

    async def _look(self, asset: str, rebalancer: Rebalancer) -> None:
        plan, price = await rebalancer.look(), self._price(asset)
        self.left[asset] = () if plan is None else plan.left
        if plan is None or not plan.moves or price is None:
            return
        units = sum(move.units for move in plan.moves)
        proposal = Proposal(
            id=f"{asset}-{self._clock.now_ns() // NS_PER_MS}",
            asset=asset,
            plan=plan,
            value=Decimal(units) / UNITS_PER_WHOLE * price,
            at_ns=self._clock.now_ns(),
        )
        if proposal.value <= self._section.auto_limit:
            await self._begin(proposal, BY_LIMIT)
            return
        self.proposals[asset] = proposal
        self._tell(proposal.id, "Money waits to be moved", _words(proposal), Severity.INFO)

    async def _begin(self, proposal: Proposal, by: str) -> None:
        asset, rebalancer = proposal.asset, self._rebalancers[proposal.asset]
        self.proposals.pop(asset, None)
        self._book.approved[asset] = by
        _log.info("money is moved between venues", proposal=proposal.id, by=by, what=_words(proposal))
        rebalancer.begin(proposal.plan)
        try:
            await rebalancer.follow()
        except StoreError:
            rebalancer.forget()
            if not rebalancer.transfers and by != BY_LIMIT:
                # Nothing was sent: it waits for the next word.
                self.proposals[asset] = proposal
            raise
        self._count(rebalancer)

    def _drop(self, asset: str) -> None:
        self.proposals.pop(asset, None)
        self._looked_ns[asset] = self._clock.now_ns()

    async def _keep(self) -> None:
        for asset, rebalancer in self._rebalancers.items():
            self._book.numbers[asset] = rebalancer.number
            self._book.transfers[asset] = list(rebalancer.transfers)
        await self._memory.save_transfers(self.candidate, msgspec.json.encode(self._book))

    def _gain(self) -> Fraction:
        return Fraction(str(self._expected())) * Fraction(str(self._section.horizon_s)) / 3_600

    def _count(self, rebalancer: Rebalancer) -> None:
        """Fees of what has arrived are costs of the candidate, once."""
        for each in rebalancer.transfers:
            if each.stage is not TransferStage.ARRIVED or each.order.key in self._charged:
                continue
            self._charged.add(each.order.key)
            price = self._price(each.order.asset)
            if each.order.fee_units and price is not None:
                self._charge(float(Decimal(each.order.fee_units) / UNITS_PER_WHOLE * price))

    def _late(self, transfer: TransferState) -> None:
        order = transfer.order
        text = f"{order.asset} from {order.source} to {order.target} has not arrived; it is followed on"
        self._tell(order.key, "A transfer is late", text, Severity.WARNING)

    def _tell(self, key: str, title: str, text: str, severity: Severity) -> None:
        at_ms = self._clock.now_ns() // NS_PER_MS
        self._notices.notify(
            Notice(
                key=f"rebalance:{key}",
                kind="strategy",
                severity=severity,
                title=title,
                text=text,
                at_ms=at_ms,
            )
        )


def _words(proposal: Proposal) -> str:
    moves = "; ".join(
        f"{whole(move.units)} {move.asset} from {move.source} to {move.target}: {earns(move)}"
        for move in proposal.plan.moves
    )
    return f"{moves}; worth {proposal.value.normalize():f}"


def earns(move: Move) -> str:
    """What a transfer is for, in the asset."""
    benefit, cost = whole(int(move.benefit_units)), whole(int(move.cost_units))
    return f"expected to bring {benefit} {move.asset} for {cost}"


def whole(units: int) -> str:
    """Units of 1e-8 for people."""
    return f"{(Decimal(units) / UNITS_PER_WHOLE).normalize():f}"


def terms_units(fees: Mapping[str, Decimal], asset: str) -> int:
    """What a transfer of an asset costs, in units."""
    return int(fees.get(asset, Decimal(0)) * UNITS_PER_WHOLE)
