"""What partners are opened from: a configuration, or a sandbox world in the folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from mrmarket.core.clock import ManualClock
from mrmarket.services.config import load_config
from mrmarket.services.partners.errors import OtherWorldError, PartnerSetupError, SandboxFolderError
from mrmarket.services.partners.opening import open_keystore, open_mixin, open_signer
from mrmarket.services.partners.setting import find_world, partner_setting, require_same_world, world_ms
from services.partners.partner_samples import ASSET, CHAIN, TOKEN, endpoints, leave_world


def test_without_a_world_the_configuration_counts(tmp_path: Path) -> None:
    """World and wall are the same clock, and a cycle is a day."""
    config = load_config(None, {}).config
    found = partner_setting(config, tmp_path, {}, ManualClock(5_000_000))
    assert not found.is_sandbox
    assert found.partners == config.partners
    assert (found.cycle_ms, found.world_ns(7), world_ms(found)) == (86_400_000, 7, 5)
    assert find_world(tmp_path) is None


async def test_a_world_in_the_folder_is_found_by_every_command(tmp_path: Path) -> None:
    """Chain, vault, bot, HuFi and prices are its own; the owner's limits stay."""
    leave_world(tmp_path, endpoints())
    file = tmp_path / "mrmarket.toml"
    file.write_text("[campaigns]\nfee_bps = 100\n[campaigns.limits]\nmax_inventory = 7\n")
    found = partner_setting(load_config(file, {}).config, tmp_path, {}, ManualClock(2_000_000_000))
    assert found.is_sandbox
    assert found.partners.asset_of(CHAIN, TOKEN) is not None
    assert found.partners.campaigns.enabled
    assert found.partners.campaigns.fee_bps == 100
    assert found.partners.campaigns.limits.max_inventory == 7
    assert found.partners.mixin.assets[0].asset_id == ASSET
    assert found.partners.prices.coins == {"HMT": "human-protocol", "USDT": "tether"}
    assert (found.cycle_ms, found.world.now_ns(), found.world_ns(2_000_000_000)) == (
        60_000,
        5 * 10**9,
        5 * 10**9,
    )
    assert open_signer(found).address == endpoints().chain.wallet_address
    assert open_keystore(found).can_spend
    await open_mixin(found).close()
    assert "0x" + "11" * 32 not in repr(found)


def test_a_world_without_prices_leaves_those_of_the_configuration(tmp_path: Path) -> None:
    """An older world has no door to prices."""
    leave_world(tmp_path, endpoints(prices_url=""))
    config = load_config(None, {}).config
    assert partner_setting(config, tmp_path, {}).partners.prices == config.prices


def test_money_stays_where_it_began(tmp_path: Path) -> None:
    """A folder lives in a sandbox world from its first start on, or never."""
    require_same_world(tmp_path, is_sandbox=True)
    require_same_world(tmp_path, is_sandbox=False)
    (tmp_path / "venue").mkdir()
    with pytest.raises(OtherWorldError, match="leave --world out"):
        require_same_world(tmp_path, is_sandbox=True)
    leave_world(tmp_path, endpoints())
    require_same_world(tmp_path, is_sandbox=True)
    with pytest.raises(SandboxFolderError, match="add --world sandbox"):
        require_same_world(tmp_path, is_sandbox=False)


def test_a_damaged_world_is_one_clear_error(tmp_path: Path) -> None:
    """Nothing is guessed."""
    leave_world(tmp_path, endpoints())
    (tmp_path / "sandbox" / "endpoints.json").write_bytes(b"{")
    with pytest.raises(PartnerSetupError, match="cannot be read"):
        partner_setting(load_config(None, {}).config, tmp_path, {})
