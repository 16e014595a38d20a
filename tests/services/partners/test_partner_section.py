"""`[[chains]]`, `[vault]`, `[campaigns]`, `[mixin]` and `[prices]`: what they allow, and what is refused."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from mrmarket.campaigns.offer import Measure
from mrmarket.core.money import Asset
from mrmarket.services.config import ConfigError, load_config
from services.partners.partner_samples import ADDRESS, ASSET, CHAIN, TOKEN, partners

CHAIN_TABLE = f"""
[[chains]]
name = "polygon"
chain_id = {CHAIN}
urls = ["https://node.example/a-key-of-ours"]
tokens = [{{ code = "HMT", address = "{TOKEN}", decimals = 18 }}]
"""
MIXIN_TABLE = f"""
[mixin]
assets = [{{ code = "HMT", asset_id = "{ASSET}" }}]
"""


def load(folder: Path, text: str) -> object:
    """Check a file."""
    file = folder / "mrmarket.toml"
    file.write_text(text)
    return load_config(file, {})


def test_partners_are_off_until_they_are_named() -> None:
    """A fresh instance knows nobody."""
    config = load_config(None, {}).config
    assert not config.partners.is_used
    assert not config.campaigns.enabled


def test_everything_together_is_taken(tmp_path: Path) -> None:
    """A chain, its token at Mixin, and campaigns that pay in it."""
    file = tmp_path / "mrmarket.toml"
    file.write_text(
        CHAIN_TABLE
        + MIXIN_TABLE
        + '[vault]\nlimits = { HMT = 25.5 }\n[campaigns]\nenabled = true\nexchanges = [{ name = "mexc" }]\n'
        + "[campaigns.limits]\nmax_inventory = 500\n"
    )
    found = load_config(file, {}).config.partners
    assert found.is_used
    assert found.asset_of(CHAIN, TOKEN.upper().replace("X", "x")) == Asset("mixin", "HMT", 8)
    assert found.asset_of(CHAIN, ADDRESS) is None
    assert found.asset_of(CHAIN + 1, TOKEN) is None
    assert found.wanted_tokens() == {f"{CHAIN}:{TOKEN}"}
    assert found.campaigns.wanted_measures() == {Measure.VOLUME}
    assert found.campaigns.limits.limits().max_inventory == 500
    vault = found.vault.settings(found.chains[0], [ADDRESS])
    assert vault.limit(TOKEN) == 255 * 10**17
    assert vault.destinations == [ADDRESS]


def test_the_addresses_of_nodes_are_not_shown(tmp_path: Path) -> None:
    """They may hold keys; tokens are no secret."""
    file = tmp_path / "mrmarket.toml"
    file.write_text(CHAIN_TABLE)
    view = load_config(file, {}).view()
    shown = {entry.key: entry.value for section in view.sections for entry in section.entries}
    assert shown["0.urls"] == "********"
    assert TOKEN in shown["0.tokens"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[campaigns]\nenabled = true\n", "name one in"),
        (CHAIN_TABLE + "[campaigns]\nenabled = true\n", "rewards reach users over Mixin"),
        (CHAIN_TABLE + CHAIN_TABLE.replace("polygon", "base"), "an id of its own"),
        (CHAIN_TABLE + CHAIN_TABLE.replace("polygon", "base").replace("= 77", "= 78"), "a code of its own"),
        (MIXIN_TABLE.replace("}]", f'}}, {{ code = "X", asset_id = "{ASSET}" }}]'), "an id of its own"),
        ('[campaigns]\nchains = ["base"]\n', "no chain 'base'"),
        ('[campaigns]\ntokens = ["HMT"]\n', "no chain has a token 'HMT'"),
        ("[vault]\nlimits = { HMT = 1 }\n", "no chain has a token 'HMT'"),
        ("[vault]\nlimits = { HMT = 0 }\n", "whole tokens"),
        ('[campaigns]\npool = "other"\n', "no pool 'other'"),
        ('[campaigns]\nexchanges = [{ name = "mexc", account = "b" }]\n', "no account 'b'"),
        ("[campaigns.limits]\nmin_spread_bps = 90\n", "spread"),
        ("[campaigns]\nmin_net_value = nan\n", "min_net_value"),
        (CHAIN_TABLE.replace(TOKEN, "0x12"), "no address"),
        (CHAIN_TABLE.replace("https://", "ftp://"), "http"),
        ('[simulation]\nworld = "sandbox"\n[venue]\nexchange = "binance"\n', "its own exchange"),
    ],
)
def test_what_cannot_work_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    """Each in one line that names the key, before anything starts."""
    with pytest.raises(ConfigError, match=problem):
        load(tmp_path, text)


def test_fewer_tokens_and_chains_can_be_wanted() -> None:
    """What is named limits what is joined."""
    found = partners()
    section = found.campaigns.__class__(chains=["other"])
    assert partners(campaigns=section).campaign_chains() == []
    assert partners(campaigns=found.campaigns.__class__(tokens=["USDT"])).wanted_tokens() == frozenset()


def test_named_destinations_go_before_what_mixin_tells() -> None:
    """The owner's list is the list."""
    found = partners()
    named = found.vault.__class__(destinations=["0x" + "55" * 20], limits={"HMT": Decimal(1)})
    assert named.settings(found.chains[0], [ADDRESS]).destinations == ["0x" + "55" * 20]
