"""Rewards that leave by themselves: credited allocations become payouts for those who asked for it.

The default is that rewards stay on the user's balance. Who leaves a preference is paid as soon as the
allocations that were not paid yet come to the minimum; the payout's cause is `reward`, its key the id of the
last allocation in it, so that no allocation is paid twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from msgspec.structs import replace

from mrmarket.core.crash import reach
from mrmarket.core.errors import InvalidInputError
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.rules import Rejection
from mrmarket.money.ledger.writer import LedgerWriter
from mrmarket.money.payouts.payout import Payout, PayoutRow, Place
from mrmarket.money.rewards.delivery_repository import DeliveryRepository, Owed
from mrmarket.money.rewards.rows import CarriedRow, DeliveryRow, Preference, allocation_id

PAGE: Final = 1_000
"""Wishes that one transaction looks at, and so the most payouts that it writes: as many as a group of
credits has, so that one transaction writes what is kept together."""

_MOST: Final = 1_000
"""Most allocations in one payout."""


class PayoutQueue(Protocol):
    """Where payouts are asked for; the outbox."""

    def enqueue_all(self, draft: Draft, payouts: Sequence[Payout]) -> list[PayoutRow | Rejection]:
        """Hold the units and queue the payouts, both in this transaction; an answer for each."""
        ...


@dataclass(frozen=True, slots=True)
class Delivered:
    """What a round has done."""

    deliveries: tuple[DeliveryRow, ...]
    refused: tuple[tuple[str, str, str], ...]
    """Account, asset and reason where the books refused, such as for money that was withdrawn meanwhile."""


class Distributor:
    """Turns credited rewards into payouts. Stateless."""

    def __init__(
        self,
        writer: LedgerWriter,
        outbox: PayoutQueue,
        rail_of: Callable[[str], str | None],
        *,
        page: int = PAGE,
    ) -> None:
        """`rail_of` names the rail that carries an asset id, None where none does."""
        self._page = page
        self._writer = writer
        self._outbox = outbox
        self._rail_of = rail_of

    def prefer(self, draft: Draft, preference: Preference) -> None:
        """Pay an account's rewards in an asset out from now on; a later wish replaces where to and how much.

        Raises:
            InvalidInputError: if no rail carries the asset, or the destination is empty.
        """
        if self._rail_of(preference.asset) is None:
            raise InvalidInputError("asset", preference.asset, "an asset that a payment rail carries")
        if not preference.destination:
            raise InvalidInputError("destination", preference.destination, "where to pay to")
        if preference.minimum_units < 1:
            raise InvalidInputError("minimum", preference.minimum_units, "a positive number of units")
        repository = DeliveryRepository(draft.sql)
        known = repository.preference(preference.account, preference.asset)
        since_ms = draft.at_ms if known is None else known.since_ms
        repository.put_preference(replace(preference, since_ms=since_ms))

    def forget(self, draft: Draft, account: str, asset: str) -> None:
        """Leave rewards on the balance again."""
        DeliveryRepository(draft.sql).drop_preference(account, asset)

    def step(self) -> Delivered:
        """Queue a payout for everybody whose unpaid rewards come to their minimum.

        A transaction for every page of wishes: others write between two pages, and what one page has written
        stays if the next one fails.
        """
        deliveries: list[DeliveryRow] = []
        refused: list[tuple[str, str, str]] = []
        page: list[Preference] | None = None
        while page is None or len(page) == self._page:
            after = None if page is None else page[-1]
            page, done = self._writer.perform(partial(self._deliver, after)).result()
            deliveries += done.deliveries
            refused += done.refused
        reach("rewards.delivered")
        return Delivered(tuple(deliveries), tuple(refused))

    def _deliver(self, after: Preference | None, draft: Draft) -> tuple[list[Preference], Delivered]:
        repository = DeliveryRepository(draft.sql)
        page = repository.preferences(after, self._page)
        ready = [
            (payout, runs)
            for preference, runs in zip(page, repository.unpaid(page, _MOST), strict=True)
            if runs and (payout := self._payout(preference, runs)) is not None
        ]
        answers = self._outbox.enqueue_all(draft, [payout for payout, _ in ready])
        deliveries: list[DeliveryRow] = []
        carried: list[CarriedRow] = []
        refused: list[tuple[str, str, str]] = []
        for (payout, runs), answer in zip(ready, answers, strict=True):
            if isinstance(answer, Rejection):
                refused.append((payout.account, payout.asset, answer.message))
                continue
            deliveries.append(_delivery(answer, draft.at_ms))
            carried += [CarriedRow(owed.run, payout.account, answer.id) for owed in runs]
        repository.add_deliveries(deliveries)
        repository.add_carried(carried)
        if deliveries:
            reach("rewards.delivery_written")
        return page, Delivered(tuple(deliveries), tuple(refused))

    def _payout(self, preference: Preference, runs: Sequence[Owed]) -> Payout | None:
        units = sum(owed.units for owed in runs)
        rail = self._rail_of(preference.asset)
        if rail is None or units < preference.minimum_units:
            return None
        last = runs[-1]
        return Payout(
            cause="reward",
            cause_key=allocation_id(last.run, preference.account),
            rail=rail,
            account=preference.account,
            asset=preference.asset,
            units=units,
            destination=preference.destination,
            memo=preference.memo,
            place=Place(last.run, last.chunk),
        )


def _delivery(row: PayoutRow, at_ms: int) -> DeliveryRow:
    return DeliveryRow(
        id=row.id,
        cause_key=row.cause_key,
        account=row.account,
        asset=row.asset,
        units=row.units,
        destination=row.destination,
        at_ms=at_ms,
    )
