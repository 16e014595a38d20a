"""The simulated payment network: wallets, payments that take time, and a treasury's feed. Rules only.

Assumptions of the simulation, all in one place:

- A payment leaves its sender when it is accepted and reaches its receiver with its last confirmation.
- Confirmations come on a timer, one each `block_ms`; there are no real blocks.
- A payment that vanishes or is refused goes back to its sender with its fee.
- What a key was used for, and how it ended, is never forgotten: a refusal is final for its key.
- The account at the trading venue has no floor here: what it traded is the venue's business.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Final

import msgspec

from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.core.crash import reach
from mrmarket.core.decimals import format_units
from mrmarket.services.rail.address import canonical_address, canonical_destination, is_venue, new_address
from mrmarket.services.rail.config import RailAsset, RailConfig, VenueLink
from mrmarket.services.rail.errors import (
    BadAmountError,
    BadDestinationError,
    BadMemoError,
    ConflictError,
    FaucetEmptyError,
    InsufficientFundsError,
    RailStateError,
    UnknownAssetError,
    UnknownCursorError,
    WorldRefusal,
)
from mrmarket.services.rail.faults import FEED_KINDS, FaultDice, RailFaultKind
from mrmarket.services.rail.journal import Journal, flows
from mrmarket.services.rail.payment import FAUCET, FeedEntry, Payment, PaymentKind, Stage

_MAX_UNITS: Final = 10**38
_MAX_MEMO: Final = 256
_DAY_MS: Final = 86_400_000
_AT_ONCE: Final = 200
_ID_BYTES: Final = 32
_WANTED: Final = "0x and 40 hex digits with a right check sum"


class World:
    """Every rule of the network over its journal. Each public step is one transaction."""

    def __init__(
        self,
        config: RailConfig,
        journal: Journal,
        clock: Clock,
        dice: FaultDice,
        token: Callable[[int], str] = secrets.token_hex,
    ) -> None:
        """Raises RailStateError if the journal belongs to another treasury."""
        self.config = config
        self.assets = {asset.code: asset for asset in config.assets}
        self._journal = journal
        self._clock = clock
        self._dice = dice
        self._token = token
        kept = journal.meta("treasury")
        if kept and config.treasury not in ("", kept):
            raise RailStateError(
                journal.path, f"belongs to {kept}", f"give another folder to {config.treasury}"
            )
        self.treasury = kept or config.treasury or new_address(token)
        """The platform's own address."""
        if not kept:
            journal.keep_meta("treasury", self.treasury)
        if config.venue is not None:
            self.link_venue(config.venue)

    def now_ms(self) -> int:
        """The network's clock, UTC ms."""
        return self._clock.now_ns() // NS_PER_MS

    # The trading venue.

    @property
    def venue(self) -> VenueLink | None:
        """Where deposits into the trading account go, if anywhere."""
        kept = self._journal.meta("venue")
        return msgspec.json.decode(kept, type=VenueLink) if kept else None

    def link_venue(self, link: VenueLink) -> None:
        """Remember where the venue is now; payments under way go there."""
        self._journal.keep_meta("venue", msgspec.json.encode(link).decode())

    # What wallets do.

    def fund(self, address: str, key: str, asset: str, units: int) -> Payment:
        """Give a wallet play money, at once and not too much."""
        address, listed = self._wallet(address), self._asset(asset)
        wanted = self._draft(f"wallet:{address}:{key}", PaymentKind.FAUCET, FAUCET, address, listed, units)
        with self._journal.transaction():
            if (known := self._known(wanted)) is not None:
                return known
            self._check_units(units)
            left = listed.faucet_units - self._journal.given(address, asset, wanted.created_ms - _DAY_MS)
            if units > left:
                raise FaucetEmptyError(asset, format_units(max(left, 0), listed.decimals))
            given = msgspec.structs.replace(wanted, stage=Stage.CONFIRMED)
            self._book(given)
        reach("rail.accepted")
        return given

    def pay(self, sender: str, key: str, destination: str, asset: str, units: int, memo: str) -> Payment:
        """Let a wallet pay an address. Raises a WorldRefusal that leaves nothing behind."""
        sender, listed = self._wallet(sender), self._asset(asset)
        target = canonical_address(destination)
        if target is None or target == sender:
            raise BadDestinationError(destination, f"another wallet's {_WANTED}")
        wanted = self._draft(f"wallet:{sender}:{key}", PaymentKind.PAY, sender, target, listed, units, memo)
        with self._journal.transaction():
            if (known := self._known(wanted)) is not None:
                return known
            self._check(wanted)
            accepted = self._accepted(wanted)
            self._book(accepted)
        reach("rail.accepted")
        return accepted

    # What the platform does.

    def send(self, key: str, destination: str, asset: str, units: int, memo: str) -> Payment:
        """Pay from the treasury. What is refused is refused under its key for ever."""
        fee = self.assets[asset].fee_units if asset in self.assets else 0
        wanted = self._payment(
            f"send:{key}", PaymentKind.SEND, self.treasury, destination, asset, units, memo, fee
        )
        return self._ask(wanted, self._accepted)

    def withdraw(self, key: str, address: str, asset: str, units: int, memo: str) -> Payment:
        """Take from the account at the venue and pay an address; the venue is asked in a moment."""
        link = self.venue
        source = f"venue:{link.account}" if link else "venue:"
        wanted = self._payment(f"withdraw:{key}", PaymentKind.WITHDRAWAL, source, address, asset, units, memo)
        return self._ask(wanted, lambda payment: payment)

    def find(self, key: str) -> Payment | None:
        """The payment under a whole key (`send:…`, `withdraw:…`); None too while a fault hides it."""
        payment = self._journal.find(key)
        if payment is None:
            return None
        now_ms = self.now_ms()
        rule = self._dice.strike(frozenset({RailFaultKind.HIDE}), "find", now_ms)
        hidden_ms = min(rule.delay_ms, self.config.settle_ms) if rule else 0
        return None if now_ms - payment.created_ms < hidden_ms else payment

    def balances(self, account: str) -> dict[str, int]:
        """Units by asset; every asset of the network is there."""
        held = self._journal.balances(account)
        return {code: held.get(code, 0) for code in self.assets}

    def history(self, account: str, limit: int) -> list[Payment]:
        """Payments from and to an account, newest first."""
        return self._journal.history(account, limit)

    def incoming(self, cursor: str, limit: int) -> tuple[list[FeedEntry], str]:
        """Updates of payments to the treasury after a cursor, and the next cursor."""
        after = int(cursor) if cursor.isascii() and cursor.isdigit() and len(cursor) < 19 else -1  # noqa: PLR2004 - digits of 2^63
        if cursor and not 0 <= after <= self._journal.feed_end():
            raise UnknownCursorError(cursor)
        entries = self._journal.feed(max(after, 0), limit)
        next_cursor = str(entries[-1].seq) if entries else cursor
        return self._disturbed(entries), next_cursor

    # Time, and what the venue said.

    def advance(self) -> int | None:
        """Carry out what is due; returns when the next step is due, UTC ms."""
        now_ms = self.now_ms()
        while due := self._journal.due(now_ms, _AT_ONCE):
            with self._journal.transaction():
                for payment in due:
                    self._step(payment, now_ms)
            reach("rail.advanced")
        return self._journal.next_due_ms()

    def waiting(self) -> list[Payment]:
        """Payments that the venue must be asked about."""
        return self._journal.waiting(_AT_ONCE)

    def venue_agreed(self, payment_id: str) -> None:
        """The venue has booked its side."""
        with self._journal.transaction():
            payment = self._stored(payment_id)
            if payment.stage is Stage.ASKED:
                self._replace(payment, self._accepted(payment))
            elif payment.stage is Stage.CREDITING:
                self._confirm(payment, self.now_ms())

    def venue_refused(self, payment_id: str, reason: str) -> None:
        """The venue booked nothing and never will."""
        with self._journal.transaction():
            payment = self._stored(payment_id)
            if payment.stage in (Stage.ASKED, Stage.CREDITING):
                self._end(payment, Stage.REFUSED, reason, self.now_ms())

    # Steps.

    def _step(self, payment: Payment, now_ms: int) -> None:
        name = f"{payment.kind.value}:{payment.asset}"
        at_ms = max(now_ms, payment.changed_ms + 1)
        if payment.stage is Stage.CONFIRMED:
            self._vanish_late(payment, at_ms)
            return
        stall = self._dice.strike(frozenset({RailFaultKind.STALL}), name, now_ms)
        if stall is not None:
            self._replace(payment, msgspec.structs.replace(payment, due_ms=now_ms + max(stall.delay_ms, 1)))
        elif payment.stage is Stage.ACCEPTED:
            if self._dice.strike(frozenset({RailFaultKind.REFUSE}), name, now_ms):
                self._end(payment, Stage.REFUSED, "the network refused it", at_ms)
            else:
                self._progress(payment, 0, at_ms)
        elif payment.confirmations + 1 < payment.required:
            self._progress(payment, payment.confirmations + 1, at_ms)
        elif payment.kind is PaymentKind.PAY and self._dice.strike(
            frozenset({RailFaultKind.RETRACT}), name, now_ms
        ):
            self._end(payment, Stage.RETRACTED, "it was replaced", at_ms)
        elif is_venue(payment.destination):
            changed = msgspec.structs.replace(
                payment,
                stage=Stage.CREDITING,
                confirmations=payment.required,
                changed_ms=at_ms,
                due_ms=None,
            )
            self._replace(payment, changed)
        else:
            self._confirm(payment, at_ms)

    def _progress(self, payment: Payment, confirmations: int, at_ms: int) -> None:
        due_ms = (payment.due_ms or at_ms) + self.config.block_ms
        changed = msgspec.structs.replace(
            payment, stage=Stage.SEEN, confirmations=confirmations, changed_ms=at_ms, due_ms=due_ms
        )
        self._replace(payment, changed)
        self._tell(changed, "seen")

    def _confirm(self, payment: Payment, at_ms: int) -> None:
        at_ms = max(at_ms, payment.changed_ms + 1)
        due_ms = None
        if payment.kind is PaymentKind.PAY:
            name = f"{payment.kind.value}:{payment.asset}"
            rule = self._dice.strike(frozenset({RailFaultKind.RETRACT_LATE}), name, at_ms)
            due_ms = at_ms + rule.delay_ms if rule else None
        changed = msgspec.structs.replace(
            payment,
            stage=Stage.CONFIRMED,
            confirmations=payment.required,
            changed_ms=at_ms,
            due_ms=due_ms,
        )
        self._replace(payment, changed)
        self._tell(changed, "confirmed")

    def _vanish_late(self, payment: Payment, at_ms: int) -> None:
        """A confirmed payment vanishes, unless its receiver has spent it."""
        if self._journal.balance(payment.destination, payment.asset) >= payment.units:
            self._end(payment, Stage.RETRACTED, "its block is no longer part of the chain", at_ms)
        else:
            self._replace(payment, msgspec.structs.replace(payment, due_ms=None))

    def _end(self, payment: Payment, stage: Stage, reason: str, at_ms: int) -> None:
        changed = msgspec.structs.replace(
            payment,
            stage=stage,
            reason=reason,
            changed_ms=max(at_ms, payment.changed_ms + 1),
            due_ms=None,
        )
        self._replace(payment, changed)
        if payment.stage in (Stage.SEEN, Stage.CONFIRMED):
            self._tell(changed, "retracted")

    def _tell(self, payment: Payment, state: str) -> None:
        if payment.destination == self.treasury:
            self._journal.tell(payment.id, state, payment.confirmations, payment.changed_ms)

    # Booking: balances follow from the stages of payments, and from nothing else.

    def _book(self, payment: Payment) -> None:
        self._journal.put(payment)
        for asset, source, target, units in flows(payment):
            self._journal.move(asset, source, target, units)

    def _replace(self, old: Payment, new: Payment) -> None:
        undone, done = flows(old), flows(new)
        self._journal.put(new)
        if undone != done:
            for asset, source, target, units in undone:
                self._journal.move(asset, target, source, units)
            for asset, source, target, units in done:
                self._journal.move(asset, source, target, units)

    # Asking.

    def _ask(self, wanted: Payment, accept: Callable[[Payment], Payment]) -> Payment:
        canonical = canonical_destination(wanted.destination)
        wanted = msgspec.structs.replace(wanted, destination=canonical or wanted.destination)
        with self._journal.transaction():
            if (known := self._known(wanted)) is not None:
                return known
            try:
                self._check(wanted)
                payment = accept(wanted)
            except WorldRefusal as refused:
                payment = msgspec.structs.replace(
                    wanted, stage=Stage.REFUSED, reason=f"{refused.code}: {refused}", due_ms=None
                )
            self._book(payment)
        reach("rail.accepted")
        return payment

    def _check(self, wanted: Payment) -> None:
        """Everything that can be refused, in the order in which it is told."""
        listed = self._asset(wanted.asset)
        self._check_units(wanted.units)
        if len(wanted.memo) > _MAX_MEMO or not wanted.memo.isprintable():
            raise BadMemoError
        self._check_destination(wanted)
        if wanted.kind is PaymentKind.WITHDRAWAL:
            return
        needed = wanted.units + wanted.fee
        held = self._journal.balance(wanted.sender, wanted.asset)
        if held < needed:
            texts = (format_units(units, listed.decimals) for units in (needed, held))
            raise InsufficientFundsError(wanted.sender, wanted.asset, *texts)

    def _check_destination(self, wanted: Payment) -> None:
        link = self.venue
        destination = wanted.destination
        if wanted.kind is PaymentKind.WITHDRAWAL:
            if link is None:
                raise BadDestinationError(destination, "it once a trading venue is linked")
            if canonical_address(destination) is None:
                raise BadDestinationError(destination, _WANTED)
        elif is_venue(destination):
            if link is None or destination != f"venue:{link.account}":
                wanted_text = f"venue:{link.account}" if link else "it once a trading venue is linked"
                raise BadDestinationError(destination, wanted_text)
        elif canonical_address(destination) is None or destination == wanted.sender:
            raise BadDestinationError(destination, f"another wallet's {_WANTED}")

    def _known(self, wanted: Payment) -> Payment | None:
        known = self._journal.find(wanted.key)
        if known is not None and not known.same_content(wanted):
            raise ConflictError(wanted.key.rpartition(":")[2])
        return known

    def _accepted(self, wanted: Payment) -> Payment:
        now_ms = self.now_ms()
        return msgspec.structs.replace(
            wanted,
            stage=Stage.ACCEPTED,
            changed_ms=max(now_ms, wanted.changed_ms),
            due_ms=now_ms + self.config.seen_ms,
        )

    def _draft(
        self,
        key: str,
        kind: PaymentKind,
        sender: str,
        destination: str,
        asset: RailAsset,
        units: int,
        memo: str = "",
    ) -> Payment:
        fee = asset.fee_units if kind is PaymentKind.PAY else 0
        return self._payment(key, kind, sender, destination, asset.code, units, memo, fee)

    def _payment(
        self,
        key: str,
        kind: PaymentKind,
        sender: str,
        destination: str,
        asset: str,
        units: int,
        memo: str,
        fee: int = 0,
    ) -> Payment:
        now_ms = self.now_ms()
        return Payment(
            id=f"0x{self._token(_ID_BYTES)}",
            key=key,
            kind=kind,
            sender=sender,
            destination=destination,
            asset=asset,
            units=units,
            fee=fee,
            memo=memo,
            stage=Stage.ASKED,
            required=self.config.required,
            created_ms=now_ms,
            changed_ms=now_ms,
        )

    def _stored(self, payment_id: str) -> Payment:
        payment = self._journal.by_id(payment_id)
        if payment is None:
            raise RailStateError(self._journal.path, f"has no payment {payment_id}", "restore a backup")
        return payment

    def _asset(self, code: str) -> RailAsset:
        listed = self.assets.get(code)
        if listed is None:
            raise UnknownAssetError(code, list(self.assets))
        return listed

    def _wallet(self, text: str) -> str:
        address = canonical_address(text)
        if address is None:
            raise BadDestinationError(text, _WANTED)
        if address == self.treasury:
            raise BadDestinationError(text, "a wallet; this is the platform's own address")
        return address

    @staticmethod
    def _check_units(units: int) -> None:
        if not 0 < units < _MAX_UNITS:
            raise BadAmountError(f"{units} units are no payment; give more than nothing, below 10^38")

    def _disturbed(self, entries: list[FeedEntry]) -> list[FeedEntry]:
        """The page as faults leave it; what is left out comes again at the end of the feed."""
        now_ms = self.now_ms()
        told: list[FeedEntry] = []
        for entry in entries:
            rule = self._dice.strike(FEED_KINDS, f"feed:{entry.state}", now_ms)
            kind = rule.kind if rule else None
            if kind is RailFaultKind.GAP:
                self._journal.tell(entry.payment.id, entry.state, entry.confirmations, entry.at_ms)
                continue
            told.append(entry)
            if kind is RailFaultKind.DUPLICATE:
                told.append(entry)
            elif kind is RailFaultKind.REORDER and len(told) > 1:
                told[-1], told[-2] = told[-2], told[-1]
        return told
