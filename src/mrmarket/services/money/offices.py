"""The rooms of money around one ledger, wired together."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

from mrmarket.core.clock import Clock
from mrmarket.core.decimals import parse_units
from mrmarket.core.ids import uuid7
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.group import Group
from mrmarket.money.ledger.seal_office import KeyRing
from mrmarket.money.payouts.clearing import Clearing
from mrmarket.money.payouts.custody import CustodyMoves
from mrmarket.money.payouts.delivery import Deliverer
from mrmarket.money.payouts.incoming import IncomingPayments
from mrmarket.money.payouts.intake import Intake
from mrmarket.money.payouts.move_book import MoveBook
from mrmarket.money.payouts.outbox import Outbox
from mrmarket.money.payouts.payment import Claimer
from mrmarket.money.payouts.pursuit import Patience
from mrmarket.money.pool.deposit import CLAIM_KIND as DEPOSIT_CLAIM
from mrmarket.money.pool.errors import PoolLeftOutError
from mrmarket.money.pool.plan import ASSET_DECIMALS, PoolPlan
from mrmarket.money.pool.settlement import FactReader
from mrmarket.money.pool.share_repository import ShareRepository
from mrmarket.money.pool.treasury import Treasury
from mrmarket.money.pool.wanted_moves import MovePolicy
from mrmarket.money.rewards.allocator import Allocator
from mrmarket.money.rewards.claims import CLAIM as REWARD_CLAIM
from mrmarket.money.rewards.claims import reward_claimer, reward_releaser
from mrmarket.money.rewards.distribution import Distributor
from mrmarket.services.audit import verify_store
from mrmarket.services.money.sources import reward_sources
from mrmarket.services.money.world import PaymentWorld
from mrmarket.services.store_address import StoreAddress
from mrmarket.store.sql import SqlReader


@dataclass(frozen=True, slots=True)
class Limits:
    """What the owner allows for all pools together."""

    capacity: str | None = None
    """Most that all pools may be worth when somebody comes in, in the quote."""
    idle_buffer: str = "0"
    """How much of the quote stays on the rail."""


class Offices:
    """Everything that reads and writes one `money.db`. Knows no loop and no time of its own."""

    def __init__(
        self,
        treasury: Treasury,
        world: PaymentWorld,
        clock: Clock,
        folder: Path,
        jitter: Callable[[], float],
        new_id: Callable[[], str] | None = None,
        claimers: Sequence[Claimer] = (),
    ) -> None:
        """`jitter` draws from 0 up to 1, `new_id` makes names that nobody has; both may be repeatable.

        `claimers` look at every payment that comes in before the rooms of money do.
        """
        self.new_id = new_id or (lambda: str(uuid7(clock)))
        self.treasury = treasury
        self.world = world
        self.clock = clock
        self.keys = KeyRing(folder)
        self.outbox = Outbox()
        writer, reader, desk = treasury.writer, treasury.reader, treasury.desk
        patience = Patience()
        moves = MoveBook(self.outbox, world.venues, patience, jitter)
        self.intake = Intake(
            world.rails,
            self.outbox,
            claimers=(*claimers, moves.claim, reward_claimer, desk.deposit_claimer),
            releasers={REWARD_CLAIM: reward_releaser, DEPOSIT_CLAIM: desk.deposit_releaser},
            observers=(desk.deposit_observer,),
        )
        settlers = {**desk.settlers, "refund": self.intake.settle_refund, "custody": moves.settle}
        self.clearing = Clearing(world.rails, settlers, patience, jitter)
        self.deliverer = Deliverer(writer, reader, world.rails, self.clearing)
        self.incoming = IncomingPayments(writer, reader, world.rails, self.intake, patience, jitter)
        self.moves = CustodyMoves(writer, reader, world.rails, world.venues, moves)
        self.sources = reward_sources()
        self.allocator = Allocator(writer, reader, self.sources)
        self.distributor = Distributor(writer, self.outbox, self._rail_of)

    @classmethod
    def open(
        cls,
        folder: Path,
        facts: FactReader,
        plans: Sequence[PoolPlan],
        clock: Clock,
        world: PaymentWorld,
        limits: Limits,
        address: StoreAddress | None = None,
        claimers: Sequence[Claimer] = (),
    ) -> Self:
        """Open the ledger, creating or upgrading it, and become its only writer.

        Args:
            folder: the data folder, which keeps the keys of seals.
            facts: the trading log.
            plans: every pool.
            clock: the world's.
            world: where people pay.
            limits: for all pools together.
            address: where the ledger is; left out: `money.db` in the folder.
            claimers: who is asked first what an incoming payment is.

        Raises:
            DatabaseTooNewError: if a newer version wrote it; nothing is changed.
            InvalidInputError: if the limits are no exact decimals.
            PoolLeftOutError: if people have money in a pool that is not among the plans.
        """
        address = address or StoreAddress(folder)
        capacity = None
        if limits.capacity is not None:
            capacity = parse_units(limits.capacity, ASSET_DECIMALS, field="capacity")
        buffer = parse_units(limits.idle_buffer, ASSET_DECIMALS, field="idle_buffer")
        store = address.open_ledger("instance")
        try:
            reader = address.open_reader()
        except BaseException:
            store.close()
            raise
        try:
            _require_every_pool(reader, plans)
        except BaseException:
            reader.close()
            store.close()
            raise
        treasury = Treasury(
            plans,
            facts,
            store,
            reader,
            clock,
            instance_capacity=capacity,
            moves=MovePolicy(idle_buffer=buffer),
            check=partial(verify_store, address),
        )
        return cls(treasury, world, clock, folder, secrets.SystemRandom().random, claimers=claimers)

    def prepare(self, members: Sequence[tuple[str, str]]) -> None:
        """Make what the rails carry known to the books, and let members into permissioned pools.

        Args:
            members: pairs of pool and account id.
        """

        def register(draft: Draft) -> None:
            for rail in self.world.rails.values():
                for asset in rail.assets():
                    if draft.asset(asset.id) is None:
                        draft.post(Group(f"register:{asset.id}", assets=(asset,)))

        self.treasury.writer.perform(register).result()
        known = {
            (pool.name, account)
            for pool in self.treasury.plans
            for account in self.treasury.figures.members(pool.name)
        }
        for pool, account in members:
            if (pool, account) not in known:
                self.treasury.desk.add_member(pool, account)

    def close(self) -> None:
        """Finish what is under way and release the database; closing twice is harmless."""
        self.treasury.close()

    def _rail_of(self, asset: str) -> str | None:
        namespace = asset.partition(":")[0]
        return namespace if namespace in self.world.rails else None


def _require_every_pool(reader: SqlReader, plans: Sequence[PoolPlan]) -> None:
    with reader.snapshot() as sql:
        missing = sorted(set(ShareRepository(sql).inhabited()) - {plan.name for plan in plans})
    if missing:
        raise PoolLeftOutError(missing)
