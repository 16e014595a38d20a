"""What the vault's next transfers would be, down to nonce and gas; nothing is signed, reserved or sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from mrmarket.core.decimals import format_units, parse_units
from mrmarket.core.errors import MrMarketError
from mrmarket.partners.chains.payment import PaymentRequest
from mrmarket.services.api.partner_schema import SweepPlan
from mrmarket.services.partners.destinations import Destinations
from mrmarket.services.partners.opening import open_node, open_vault
from mrmarket.services.partners.setting import PartnerSetting

if TYPE_CHECKING:
    from mrmarket.partners.chains.book import ChainBook
    from mrmarket.partners.chains.settings import ChainSettings
    from mrmarket.partners.chains.signer import LocalSigner
    from mrmarket.partners.chains.vault import Quote

_WHO: Final = "trial"
_COIN_DECIMALS: Final = 18


class SweepTrial(msgspec.Struct, kw_only=True):
    """One transfer as it would be made now. Amounts are exact decimal strings."""

    chain_id: int
    chain: str
    """Our name of it; empty where it is not configured."""
    code: str
    amount: str
    payouts: int
    destination: str
    """Empty where nobody has told one yet."""
    nonce: int | None
    gas: int | None
    most_cost: str
    """Most of the chain's own coin that its gas can cost; empty where it cannot be told."""
    problem: str
    """Why it would not be made now, with what to do; empty where it would."""


async def try_sweeps(
    setting: PartnerSetting, plans: Sequence[SweepPlan], book: ChainBook, signer: LocalSigner
) -> list[SweepTrial]:
    """Everything that is checked before a transfer, for each that waits.

    Args:
        setting: of the partners; nodes are opened from it, and closed.
        plans: what waits in the vaults.
        book: what the vault has paid; only read.
        signer: whose account the vault is; nothing is signed.
    """
    return [await _try(setting, plan, book, signer) for plan in plans]


async def _try(setting: PartnerSetting, plan: SweepPlan, book: ChainBook, signer: LocalSigner) -> SweepTrial:
    chain = next((one for one in setting.partners.chains if one.chain_id == plan.chain_id), None)
    if chain is None:
        return _trial(plan, problem=f"chain {plan.chain_id} is not configured; name it in [[chains]]")
    token = chain.token(plan.token)
    if token is None:
        return _trial(plan, chain, problem=f"the token {plan.token} is not configured; name it in [[chains]]")
    known = Destinations(setting.partners, setting.folder, None).known(chain.chain_id)
    allowed = setting.partners.vault.settings(chain, known).destinations
    if not allowed:
        return _trial(
            plan, chain, problem="no destination is known yet; a running instance asks Mixin for its own"
        )
    # What Mixin told is where it would go; an allow-list without it refuses it here as it would then.
    destination = next((one for one in known if one in allowed), known[0] if known else allowed[0])
    node = open_node(chain)
    try:
        vault = open_vault(setting, chain, node, signer, book, _WHO, known)
        units = parse_units(plan.amount, token.decimals)
        quote = await vault.quote(PaymentRequest("trial", token.address, destination, units))
    except MrMarketError as error:
        return _trial(plan, chain, destination, problem=str(error))
    finally:
        await node.close()
    return _trial(plan, chain, destination, quote)


def _trial(
    plan: SweepPlan,
    chain: ChainSettings | None = None,
    destination: str = "",
    quote: Quote | None = None,
    problem: str = "",
) -> SweepTrial:
    return SweepTrial(
        chain_id=plan.chain_id,
        chain="" if chain is None else chain.name,
        code=plan.code,
        amount=plan.amount,
        payouts=plan.payouts,
        destination=destination,
        nonce=None if quote is None else quote.nonce,
        gas=None if quote is None else quote.gas,
        most_cost="" if quote is None else format_units(quote.most_wei, _COIN_DECIMALS),
        problem=problem,
    )
