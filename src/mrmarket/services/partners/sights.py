"""Partners at this moment, for the owner: asked all at once, each with little patience and its own words."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from mrmarket.core.decimals import format_units
from mrmarket.core.errors import MrMarketError
from mrmarket.money.payouts.port import PaymentRail
from mrmarket.partners.chains import payments
from mrmarket.partners.chains.book import ChainBook
from mrmarket.partners.chains.payment import Payment
from mrmarket.partners.chains.settings import ChainSettings, VaultSettings
from mrmarket.partners.chains.transfer import Block
from mrmarket.partners.hufi.drift import DriftReport
from mrmarket.services.api import partner_schema as schema
from mrmarket.services.partners.views import coins

_PATIENCE_S: Final = 3.0
_LATEST: Final = 10
_NOTHING: Final = ""

T = TypeVar("T")


class ChainSight(Protocol):
    """What is asked of a chain's node; `ChainNode` has it."""

    async def head(self) -> Block:
        """The newest block the node knows."""
        ...

    async def coins(self, address: str) -> int:
        """Wei of an account."""
        ...

    async def token_units(self, token: str, address: str) -> int:
        """Base units of a token that an account holds."""
        ...


@dataclass(frozen=True, slots=True)
class ChainPart:
    """A chain that is watched."""

    settings: ChainSettings
    node: ChainSight
    book: ChainBook
    explorer: str = ""
    """Where its transactions can be looked up: an address that ends where the hash begins."""


@dataclass(frozen=True, slots=True)
class VaultPart:
    """An account on a chain that rewards arrive at."""

    chain: ChainPart
    account: str
    settings: Callable[[], VaultSettings]
    """As they are now: destinations may become known late."""
    now_ms: Callable[[], int]
    """By the vault's clock: its limits are counted by it."""


@dataclass(frozen=True, slots=True)
class MixinPart:
    """The bot."""

    app_id: str
    name: Callable[[], Awaitable[str]]
    rail: PaymentRail
    pending: Callable[[], int]
    """Transfers that are signed and not known to have happened."""


@dataclass(frozen=True, slots=True)
class HufiPart:
    """HuFi's APIs."""

    wallet: str
    is_in: Callable[[], bool]
    drift: DriftReport
    problem: Callable[[], str] = str
    """Why it could not be asked the last time; empty where it could."""


@dataclass(frozen=True, slots=True)
class Sights:
    """All of them at once."""

    chains: list[schema.ChainView]
    vaults: list[schema.VaultView]
    mixin: schema.MixinView | None
    hufi: schema.HufiView | None


async def partner_sights(
    chains: Sequence[ChainPart],
    vaults: Sequence[VaultPart],
    mixin: MixinPart | None,
    hufi: HufiPart | None,
    sweeps: schema.SweepsView,
) -> Sights:
    """Ask everybody. One who does not answer is shown with the reason, and holds nobody up for long."""
    seen, held, bot = await asyncio.gather(
        asyncio.gather(*(_chain(part) for part in chains)),
        asyncio.gather(*(_vault(part, sweeps) for part in vaults)),
        _mixin(mixin),
    )
    return Sights(list(seen), list(held), bot, None if hufi is None else _hufi(hufi))


async def _asked(question: Awaitable[T]) -> tuple[T | None, str]:
    """(answer, nothing) or (None, why there is none)."""
    try:
        async with asyncio.timeout(_PATIENCE_S):
            return await question, _NOTHING
    except TimeoutError:
        return None, f"no answer within {_PATIENCE_S:g} s"
    except MrMarketError as error:
        return None, str(error)


async def _chain(part: ChainPart) -> schema.ChainView:
    settings = part.settings
    head, problem = await _asked(part.node.head())
    read, final, halted = await asyncio.to_thread(_how_far, part.book, settings.chain_id)
    return schema.ChainView(
        name=settings.name,
        chain_id=settings.chain_id,
        head=None if head is None else head.number,
        read=read,
        final=final,
        lag=None if head is None or read is None else max(0, head.number - read),
        confirmations=settings.confirmations,
        halted=halted,
        problem=problem,
        explorer=part.explorer,
    )


def _how_far(book: ChainBook, chain_id: int) -> tuple[int | None, int | None, str]:
    """(newest block read, final up to, why payments stand still)."""
    with book.reading() as sql:
        read = sql.rows("SELECT max(number) FROM chain_blocks WHERE chain_id = ?", chain_id)
        cursor = sql.rows("SELECT final, halted FROM chain_cursors WHERE chain_id = ?", chain_id)
    newest = read[0][0] if read else None
    return newest, cursor[0][0] if cursor else None, cursor[0][1] if cursor else ""


async def _vault(part: VaultPart, sweeps: schema.SweepsView) -> schema.VaultView:
    chain, settings = part.chain.settings, part.settings()
    wei, problem = await _asked(part.chain.node.coins(part.account))
    since_ms = part.now_ms() - settings.limit_window_s * 1_000

    def figures() -> tuple[int, list[Payment], list[Payment], dict[str, int]]:
        with part.chain.book.reading() as sql:
            return (
                payments.next_nonce(sql, chain.chain_id, part.account),
                payments.open_payments(sql, chain.chain_id, part.account),
                payments.latest_payments(sql, chain.chain_id, _LATEST),
                {
                    token.address: payments.spent_units(sql, chain.chain_id, token.address, since_ms)
                    for token in chain.tokens
                },
            )

    nonce, under_way, latest, spent = await asyncio.to_thread(figures)
    waits = {plan.token: plan.amount for plan in sweeps.plans if plan.chain_id == chain.chain_id}
    tokens: list[schema.VaultTokenView] = []
    for token in chain.tokens:
        held = None
        if not problem:  # one that has just not answered is not asked once for every token
            held, problem = await _asked(part.chain.node.token_units(token.address, part.account))
        tokens.append(
            schema.VaultTokenView(
                code=token.code,
                address=token.address,
                balance=None if held is None else format_units(held, token.decimals),
                waiting=waits.get(token.address, "0"),
                limit=format_units(settings.limit(token.address), token.decimals),
                spent=format_units(spent[token.address], token.decimals),
                minimum_sweep=format_units(token.minimum_sweep_units, token.decimals),
            )
        )
    return schema.VaultView(
        chain=chain.name,
        chain_id=chain.chain_id,
        account=part.account,
        coins=None if wei is None else coins(wei),
        next_nonce=nonce,
        pending=len(under_way),
        window_s=settings.limit_window_s,
        tokens=tokens,
        destinations=list(settings.destinations),
        latest=[_payment(one, chain) for one in latest],
        problem=problem,
    )


def _payment(payment: Payment, chain: ChainSettings) -> schema.VaultPaymentView:
    token = chain.token(payment.token)
    return schema.VaultPaymentView(
        key=payment.key,
        state=payment.state.value,
        amount=format_units(payment.units, 0 if token is None else token.decimals),
        token=payment.token if token is None else token.code,
        destination=payment.destination,
        nonce=payment.nonce,
        tx=payment.tx_hash,
        at_ms=payment.changed_ms,
        reason=payment.reason,
    )


async def _mixin(part: MixinPart | None) -> schema.MixinView | None:
    if part is None:
        return None
    name, problem = await _asked(part.name())
    held: dict[str, int] | None = None
    if not problem:
        held, problem = await _asked(part.rail.balances())
    decimals = {asset.code: asset.decimals for asset in part.rail.assets()}
    return schema.MixinView(
        app_id=part.app_id,
        name=name or "",
        balances=[
            schema.PartnerBalance(asset=code, amount=format_units(units, decimals.get(code, 0)))
            for code, units in sorted((held or {}).items())
        ],
        pending=await asyncio.to_thread(part.pending),
        problem=problem,
    )


def _hufi(part: HufiPart) -> schema.HufiView:
    return schema.HufiView(
        wallet=part.wallet,
        login="in" if part.is_in() else "out",
        drifts=[
            schema.DriftView(
                kind=one.kind.value,
                route=one.route,
                subject=one.subject,
                count=one.count,
                first_ms=one.first_ms,
                last_ms=one.last_ms,
            )
            for one in part.drift.found
        ],
        beyond=part.drift.beyond,
        problem=part.problem(),
    )
