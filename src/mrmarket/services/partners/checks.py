"""Whether partners can be worked with: keys, nodes, gas, Mixin; each with what to do. Changes nothing."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mrmarket.core.decimals import format_units
from mrmarket.core.errors import MrMarketError
from mrmarket.services.finding import Finding
from mrmarket.services.partners.opening import (
    open_keystore,
    open_mixin,
    open_node,
    open_signer,
    require_libraries,
)
from mrmarket.services.partners.setting import PartnerSetting

if TYPE_CHECKING:
    from mrmarket.partners.chains.settings import ChainSettings

_PATIENCE_S: Final = 5.0
_WEI_DECIMALS: Final = 18
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_LEAST_GAS_PAYMENTS: Final = 3
"""Transfers at the ceiling of gas and price that the wallet should be able to pay for."""


def check_partners(setting: PartnerSetting) -> Iterator[Finding]:
    """All of it; one line where nothing is configured. Asks nodes and Mixin, each a few seconds at most."""
    partners = setting.partners
    if not partners.is_used:
        yield Finding(check="partners", result="ok", found="none configured")
        return
    try:
        require_libraries()
    except MrMarketError as missing:
        yield _failed("partners", missing, "pip install 'mrmarket[chains]'")
        return
    account = ""
    if partners.chains:
        finding, account = _vault_key(setting)
        yield finding
        yield from _limits(setting)
    for chain in partners.chains:
        yield asyncio.run(_chain(chain, account))
    if partners.mixin.is_used:
        yield from _mixin(setting)


def _vault_key(setting: PartnerSetting) -> tuple[Finding, str]:
    """The vault's key can be used, and by nobody else; its account."""
    section = setting.partners.vault
    name = "vault key"
    next_step = f"set {section.key_env}, or [vault] key_file and {section.password_env}"
    try:
        if section.key_file and Path(section.key_file).stat().st_mode & _OTHERS:
            step = f"chmod 600 {section.key_file}"
            return Finding(check=name, result="fail", found="others may read it", next_step=step), ""
        account = open_signer(setting).address
    except (MrMarketError, OSError) as refused:
        return _failed(name, refused, next_step), ""
    return Finding(check=name, result="ok", found=account), account


def _limits(setting: PartnerSetting) -> Iterator[Finding]:
    codes = [token.code for chain in setting.partners.chains for token in chain.tokens]
    bare = [code for code in codes if code not in setting.partners.vault.limits]
    yield Finding(
        check="vault limits",
        result="warn" if bare or not codes else "ok",
        found=f"never moved: {', '.join(bare)}" if bare else f"for {', '.join(codes)}",
        next_step=f"set [vault] limits, such as {bare[0]} = 1000" if bare else "",
    )


async def _chain(chain: ChainSettings, account: str) -> Finding:
    """A node answers, is of that chain, and the account has coins for gas."""
    name = f"chain {chain.name}"
    node = open_node(chain)
    try:
        async with asyncio.timeout(_PATIENCE_S):
            head = await node.head()
            coins = await node.coins(account) if account else None
    except TimeoutError:
        return Finding(
            check=name, result="fail", found=f"no answer within {_PATIENCE_S:g} s", next_step="check its urls"
        )
    except MrMarketError as silent:
        return _failed(name, silent, "check the urls of the chain in [[chains]]")
    finally:
        await node.close()
    found = f"block {head.number}"
    if coins is None:
        return Finding(check=name, result="ok", found=found)
    wanted = _LEAST_GAS_PAYMENTS * chain.max_gas * chain.max_fee_per_gas_wei
    short = coins < wanted
    enough = f"{format_units(wanted, _WEI_DECIMALS)} pays for {_LEAST_GAS_PAYMENTS} at the ceilings"
    return Finding(
        check=name,
        result="fail" if not coins else "warn" if short else "ok",
        found=f"{found}, {format_units(coins, _WEI_DECIMALS)} for gas",
        next_step=f"send {account} some of the chain's own coin: {enough}" if short else "",
    )


def _mixin(setting: PartnerSetting) -> Iterator[Finding]:
    """The keystore can be read by us alone, may spend, and Mixin knows it."""
    section = setting.partners.mixin
    try:
        keystore = open_keystore(setting)
    except MrMarketError as refused:
        yield _failed("mixin keystore", refused, f"set [mixin] keystore, or {section.keystore_env}")
        return
    yield Finding(
        check="mixin keystore",
        result="ok" if keystore.can_spend else "fail",
        found=keystore.app_id if keystore.can_spend else "it has no spend key: nobody can be paid",
        next_step="" if keystore.can_spend else "add spend_private_key of the bot to the keystore",
    )
    yield asyncio.run(_mixin_answers(setting))


async def _mixin_answers(setting: PartnerSetting) -> Finding:
    try:
        async with asyncio.timeout(_PATIENCE_S), open_mixin(setting) as client:
            me = await client.me()
    except TimeoutError:
        return Finding(
            check="mixin",
            result="fail",
            found="no answer in time",
            next_step="check the network and the clock",
        )
    except MrMarketError as refused:
        return _failed("mixin", refused, "check the network, the clock and the keystore")
    return Finding(
        check="mixin", result="ok", found=f"{me.full_name or me.user_id} at {setting.partners.mixin.url}"
    )


def _failed(check: str, why: Exception, next_step: str) -> Finding:
    return Finding(check=check, result="fail", found=str(why), next_step=next_step)
