"""Rewards that leave by themselves: credited allocations become payouts for those who asked for it.

The default is that rewards stay on the user's balance. Who leaves a preference is paid as soon as the
allocations that were not paid yet come to the minimum; the payout's cause is `reward`, its key the id of the
last allocation in it, so that no allocation is paid twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from msgspec.structs import replace

from mrmarket.core.crash import reach
from mrmarket.core.errors import InvalidInputError
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.rules import Rejection
from mrmarket.money.ledger.writer import LedgerWriter
from mrmarket.money.payouts.payout import Payout, PayoutRow
from mrmarket.money.rewards.delivery_repository import DeliveryRepository
from mrmarket.money.rewards.rows import CarriedRow, DeliveryRow, Preference, allocation_id

_MOST: Final = 1_000
"""Most allocations in one payout."""


class PayoutQueue(Protocol):
    """Where payouts are asked for; the outbox."""

    def enqueue(self, draft: Draft, payout: Payout) -> PayoutRow | Rejection:
        """Hold the units and queue the payout, both in this transaction."""
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
        self, writer: LedgerWriter, outbox: PayoutQueue, rail_of: Callable[[str], str | None]
    ) -> None:
        """`rail_of` names the rail that carries an asset id, None where none does."""
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
        """Queue a payout for everybody whose unpaid rewards come to their minimum."""
        delivered = self._writer.perform(self._deliver).result()
        reach("rewards.delivered")
        return delivered

    def _deliver(self, draft: Draft) -> Delivered:
        repository = DeliveryRepository(draft.sql)
        deliveries: list[DeliveryRow] = []
        refused: list[tuple[str, str, str]] = []
        for preference in repository.preferences():
            unpaid = repository.unpaid(preference, _MOST)
            units = sum(part for _, part in unpaid)
            rail = self._rail_of(preference.asset)
            if rail is None or units < preference.minimum_units:
                continue
            payout = Payout(
                cause="reward",
                cause_key=allocation_id(unpaid[-1][0], preference.account),
                rail=rail,
                account=preference.account,
                asset=preference.asset,
                units=units,
                destination=preference.destination,
                memo=preference.memo,
            )
            answer = self._outbox.enqueue(draft, payout)
            if isinstance(answer, Rejection):
                refused.append((preference.account, preference.asset, answer.message))
                continue
            delivery = DeliveryRow(
                id=answer.id,
                cause_key=payout.cause_key,
                account=preference.account,
                asset=preference.asset,
                units=units,
                destination=preference.destination,
                at_ms=draft.at_ms,
            )
            repository.add_delivery(delivery)
            for run, _ in unpaid:
                repository.add_carried(CarriedRow(run, preference.account, delivery.id))
            reach("rewards.delivery_written")
            deliveries.append(delivery)
        return Delivered(tuple(deliveries), tuple(refused))
