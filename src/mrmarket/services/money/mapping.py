"""From what the rooms of money hold to what the API says. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Context, Decimal
from typing import Final, Literal

from mrmarket.core.decimals import format_units
from mrmarket.money.ledger.chain import Record, canonical
from mrmarket.money.ledger.history import Entry
from mrmarket.money.ledger.transfer import Transfer
from mrmarket.money.payouts.payment import Payment, Standing
from mrmarket.money.payouts.payout import PayoutRow, PayoutState, Receipt
from mrmarket.money.payouts.view import QueuedPayout
from mrmarket.money.pool import view as pool_view
from mrmarket.money.pool.plan import SHARE_DECIMALS
from mrmarket.money.pool.rows import DepositRow, DepositState, WithdrawalRow, WithdrawalState
from mrmarket.money.pool.terms import BPS, EXIT_REFUSED, LockTier
from mrmarket.money.rewards.job_repository import JobRow
from mrmarket.services.api import money_schema as money

AssetDecimals = Callable[[str], int]
"""Decimals of an asset id; 0 for one that the books do not know."""

StepState = Literal["done", "now", "waiting", "failed", "not needed"]

_EXACT: Final = Context(prec=120)
"""More digits than any sum of amounts has."""

HIDDEN: Final = "user:…"
"""Instead of somebody else's account."""


def fraction(bps: int) -> str:
    """Hundredths of a per cent as a plain fraction."""
    return f"{(Decimal(bps) / BPS).normalize():f}"


def tier_view(tier: LockTier) -> money.LockTierView:
    """A lock tier."""
    weight = Decimal(tier.weight_num) / tier.weight_den
    return money.LockTierView(
        name=tier.name,
        days=tier.lock_days,
        weight=f"{weight.normalize():f}",
        early_exit="refused" if tier.exit_fee_bps == EXIT_REFUSED else fraction(tier.exit_fee_bps),
    )


def pool_card(card: pool_view.PoolCard, pair: str | None) -> money.PoolCard:
    """A pool for anybody."""
    terms = card.terms.terms
    return money.PoolCard(
        id=card.id,
        quote=card.quote,
        pair=pair if card.stream else None,
        nav=card.nav,
        shares=card.shares,
        nav_per_share=card.nav_per_share,
        depositors=card.depositors,
        return_day=card.return_day,
        return_week=card.return_week,
        return_month=card.return_month,
        terms=money.TermsView(
            version=card.terms.version,
            minimum_deposit=terms.minimum_deposit,
            capacity=terms.capacity,
            capacity_left=card.capacity_left,
            deposit_fee=fraction(terms.deposit_fee_bps),
            management_fee_year=fraction(terms.management_fee_bps),
            performance_fee=fraction(terms.performance_fee_bps),
            hurdle_rate_year=fraction(terms.hurdle_bps),
            redeem_period_s=terms.redeem_period_s,
            tiers=[tier_view(tier) for tier in terms.tiers],
            permissioned=terms.permissioned,
            deposits_paused=card.deposits_paused,
            withdrawals_paused=card.withdrawals_paused,
        ),
        deposit_assets=[asset.partition(":")[2] for asset in card.deposit_assets],
    )


def place_share(place: pool_view.PlaceFigures) -> money.PlaceShare:
    """Part of a pool's money."""
    return money.PlaceShare(
        place=place.place, asset=place.asset, amount=place.amount, value=place.value, share=place.share
    )


def period(figures: pool_view.PeriodFigures, rewards: str = "0") -> money.PeriodFigures:
    """A day, week or month."""
    return money.PeriodFigures(
        start_ms=figures.start_ms,
        end_ms=figures.end_ms,
        volume=figures.volume,
        fills=figures.fills,
        venue_fees=figures.venue_fees,
        pool_fees=figures.pool_fees,
        rewards=rewards,
        result=figures.result,
        return_fraction=figures.return_fraction,
    )


def position(figures: pool_view.PositionFigures) -> money.Position:
    """What a user has in a pool."""
    return money.Position(
        pool=figures.pool,
        quote=figures.quote,
        shares=figures.shares,
        share=figures.share,
        value=figures.value,
        paid_in=figures.paid_in,
        earned=figures.earned,
        tier=figures.tier,
        weight=figures.weight,
        locked_until_ms=figures.locked_until_ms,
        held_shares=figures.held_shares,
    )


def deposit_preview(quote: pool_view.DepositQuote) -> money.DepositPreview:
    """What a deposit would come to."""
    return money.DepositPreview(
        shares=quote.shares,
        share_price=quote.share_price,
        value=quote.value,
        fee=quote.fee,
        tier=tier_view(quote.tier),
        locked_until_ms=quote.locked_until_ms,
        terms_version=quote.terms_version,
        refusal=quote.refusal,
    )


_DEPOSIT_ORDER: Final = (DepositState.WAITING, DepositState.SEEN, DepositState.CREDITED, DepositState.MINTED)
_ENDED: Final = frozenset({DepositState.EXPIRED, DepositState.REFUNDED, DepositState.CANCELLED})


def deposit(
    row: DepositRow, decimals: int, payment: Payment | None, pay: money.PaymentRequest | None
) -> money.DepositView:
    """A deposit with its steps."""
    names = ("announced", "payment seen", "credited", "shares minted")
    times = (row.created_ms, row.seen_ms, row.credited_ms, row.ended_ms)
    ended = row.state in _ENDED
    reached = _DEPOSIT_ORDER.index(row.state) if not ended else (1 if row.seen_ms else 0)
    steps = []
    for place, (name, at_ms) in enumerate(zip(names, times, strict=True)):
        detail, reference = "", None
        if place == 1 and payment is not None:
            detail = f"{payment.confirmations} of {payment.required} confirmations"
            reference = payment.id
        if place == reached + 1 and not ended:
            detail = row.reason or detail
        state: StepState = "done" if place <= reached else "waiting"
        if place == reached + 1:
            state = "failed" if ended else "now"
        steps.append(
            money.Step(
                name=name,
                state=state,
                at_ms=at_ms or None if state == "done" else None,
                detail=row.reason if state == "failed" else detail,
                reference=reference if state == "done" else None,
            )
        )
    return money.DepositView(
        id=row.id,
        pool=row.pool,
        asset=row.asset.partition(":")[2],
        amount=format_units(row.units, decimals),
        tier=row.tier,
        state=row.state.value,
        reason=row.reason,
        created_at_ms=row.created_ms,
        expires_at_ms=row.expires_ms,
        shares=format_units(row.share_units, SHARE_DECIMALS) if row.share_units else None,
        pay=pay if row.state is DepositState.WAITING else None,
        steps=steps,
    )


_CANCELLABLE: Final = frozenset({WithdrawalState.HELD, WithdrawalState.UNWINDING})


def withdrawal(
    row: WithdrawalRow, decimals: int, payout: PayoutRow | None, receipt: Receipt | None
) -> money.WithdrawalView:
    """A withdrawal with its steps."""
    failed = row.state in {WithdrawalState.REFUSED, WithdrawalState.CANCELLED}
    burned, sent = bool(row.burned_ms), payout is not None and payout.state in _ON_ITS_WAY
    needs_shares = bool(row.pool)
    done = {
        "requested": True,
        "shares burned": burned,
        "sent": sent or row.state is WithdrawalState.CONFIRMED,
        "paid": row.state is WithdrawalState.CONFIRMED,
    }
    times = {
        "requested": row.created_ms,
        "shares burned": row.burned_ms,
        "sent": payout.changed_ms if payout is not None else 0,
        "paid": row.ended_ms,
    }
    steps: list[money.Step] = []
    current_found = False
    for name, is_done in done.items():
        state: StepState = "done" if is_done else "waiting"
        if name == "shares burned" and not needs_shares:
            state = "not needed"
        elif not is_done and not current_found:
            current_found, state = True, "failed" if failed else "now"
        steps.append(
            money.Step(
                name=name,
                state=state,
                at_ms=(times[name] or None) if state == "done" else None,
                detail=row.reason if state in {"now", "failed"} else "",
                reference=receipt.reference if receipt is not None and name == "paid" else None,
            )
        )
    return money.WithdrawalView(
        id=row.id,
        pool=row.pool or None,
        asset=row.asset.partition(":")[2] or None,
        shares=format_units(row.share_units, SHARE_DECIMALS),
        amount=format_units(row.units, decimals) if row.units else None,
        destination=row.destination,
        state=row.state.value,
        reason=row.reason,
        created_at_ms=row.created_ms,
        cancellable=row.state in _CANCELLABLE,
        steps=steps,
    )


_ON_ITS_WAY: Final = frozenset(
    {PayoutState.SENDING, PayoutState.SENT, PayoutState.UNKNOWN, PayoutState.CONFIRMED}
)


def outbox_row(queued: QueuedPayout, decimals: int) -> money.OutboxRow:
    """A payment that is owed or was made."""
    row = queued.row
    return money.OutboxRow(
        id=row.id,
        cause=row.cause,
        account=row.account,
        asset=row.asset_code,
        amount=format_units(row.units, decimals),
        destination=row.destination,
        state=row.state.value,
        reason=queued.blocked or row.reason,
        attempts=row.sends,
        created_at_ms=row.queued_ms,
        updated_at_ms=row.changed_ms,
        receipt=queued.receipt.reference if queued.receipt else None,
    )


def parked_row(payment: Payment, decimals: int) -> money.OutboxRow:
    """An incoming payment that nobody could be found for."""
    return money.OutboxRow(
        id=payment.name,
        cause="incoming",
        account=payment.suspense,
        asset=payment.asset_code,
        amount=format_units(payment.units, decimals),
        destination=payment.sender,
        state=Standing.PARKED.value,
        reason=payment.reason,
        attempts=payment.attempts,
        created_at_ms=payment.seen_ms,
        updated_at_ms=payment.settled_ms or payment.seen_ms,
        receipt=None,
    )


def statement_line(entry: Entry, decimals: int) -> money.StatementLine:
    """A movement of a user's account."""
    return money.StatementLine(
        seq=entry.seq,
        at_ms=entry.at_ms,
        kind=entry.kind.value,
        asset=entry.asset,
        amount=signed(entry.units, decimals),
        balance=signed(entry.balance_after, decimals),
        key=entry.key,
        memo="" if entry.memo.startswith("{") else entry.memo,
        hash=entry.hash.hex(),
    )


def signed(units: int, decimals: int) -> str:
    """A decimal string with a minus sign where there is less than nothing."""
    return format_units(units, decimals) if units >= 0 else f"-{format_units(-units, decimals)}"


def group(record: Record, previous: bytes, decimals: AssetDecimals, own: str | None) -> money.GroupView:
    """A group of the ledger.

    Args:
        record: the group.
        previous: hash of the group before it.
        decimals: of assets.
        own: account id of whoever looks; other people's names are masked. None shows everything.
    """
    text = canonical(record).decode()
    names_others = own is not None and _names_others(record, text, own)

    def name(account: str) -> str:
        masked = own is not None and account != own and account.startswith("user:")
        return HIDDEN if masked else account

    return money.GroupView(
        seq=record.seq,
        key=record.key if not names_others else record.key.partition(":")[0],
        at_ms=record.at_ms,
        outcome=record.outcome,
        memo="" if names_others else record.memo,
        hash=record.hash.hex(),
        previous_hash=previous.hex(),
        # What others got in the same group is theirs alone; the places that are left out show that it was.
        entries=[
            money.EntryView(
                position=place,
                debit=name(transfer.debit),
                credit=name(transfer.credit),
                asset=transfer.asset,
                amount=format_units(transfer.units, decimals(transfer.asset)),
                units=str(transfer.units),
                kind=transfer.kind.value,
                phase=transfer.phase.value,
            )
            for place, transfer in enumerate(record.transfers)
            if own is None or own in (transfer.debit, transfer.credit) or not _is_private(transfer)
        ],
        canonical=None if names_others else text,
    )


def _is_private(transfer: Transfer) -> bool:
    return transfer.debit.startswith("user:") or transfer.credit.startswith("user:")


def _names_others(record: Record, text: str, own: str) -> bool:
    sides = {side for transfer in record.transfers for side in (transfer.debit, transfer.credit)}
    opened = {account.id for account in record.accounts}
    if any(side.startswith("user:") and side != own for side in sides | opened):
        return True
    # A memo or key may carry names too: what is left after taking out our own must name nobody.
    return "user:" in text.replace(f'"{own}"', "")


def job(row: JobRow) -> money.JobView:
    """A window of recurring work."""
    return money.JobView(
        job=row.job,
        scope=row.scope,
        start_ms=row.start_ms,
        end_ms=row.end_ms,
        state=row.state.value,
        attempts=row.attempts,
        reason=row.reason,
    )


def decimal_sum(texts: Iterable[str]) -> str:
    """Exact sum of decimal strings, signs included, without an exponent."""
    total = Decimal(0)
    for text in texts:
        total = _EXACT.add(total, Decimal(text))
    return f"{_EXACT.normalize(total):f}" if total else "0"
