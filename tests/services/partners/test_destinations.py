"""Where rewards go on to: the first word counts, and another is no destination."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mrmarket.campaigns.errors import PartnerUnclearError
from mrmarket.partners.mixin.errors import MixinUnclearError
from mrmarket.partners.mixin.messages import DepositEntry, SafeAsset
from mrmarket.services.partners.destinations import Destinations
from mrmarket.services.partners.errors import PartnerSetupError
from mrmarket.services.partners.section import Partners, VaultSection
from services.partners.partner_samples import ADDRESS, ASSET, CHAIN, CHAIN_ASSET, TOKEN, partners

OTHER = "0x" + "66" * 20


@dataclass
class TellingMixin:
    """What of Mixin is asked."""

    told: list[DepositEntry] = field(default_factory=lambda: [entry(ADDRESS)])
    is_down: bool = False

    async def asset(self, asset_id: str) -> SafeAsset:
        """One asset."""
        if self.is_down:
            raise MixinUnclearError("GET /safe/assets", "no answer")
        assert asset_id == ASSET
        return SafeAsset(ASSET, CHAIN_ASSET, "HMT")

    async def deposit_entries(self, chain_id: str) -> list[DepositEntry]:
        """Our addresses."""
        assert chain_id == CHAIN_ASSET
        return self.told


def entry(address: str, tag: str = "", *, is_primary: bool = True) -> DepositEntry:
    """An address of ours."""
    return DepositEntry("e", CHAIN_ASSET, address, tag, is_primary)


def destinations(folder: Path, mixin: TellingMixin | None, found: Partners | None = None) -> Destinations:
    """Over a folder."""
    return Destinations(found or partners(), folder, mixin)  # type: ignore[arg-type] # what of it is asked


async def test_the_first_word_is_kept(tmp_path: Path) -> None:
    """The primary entry, lower case; the next life knows it without asking."""
    mixin = TellingMixin([entry(OTHER, is_primary=False), entry(ADDRESS)])
    found = destinations(tmp_path, mixin)
    assert found.known(CHAIN) == []
    assert await found.learn(CHAIN) == [ADDRESS]
    assert await found.address(CHAIN, TOKEN) == ADDRESS
    assert destinations(tmp_path, None).known(CHAIN) == [ADDRESS]
    assert destinations(tmp_path, None).known(CHAIN + 1) == []
    assert (tmp_path / "destinations.json").stat().st_mode & 0o077 == 0


async def test_another_word_stops_the_transfers(tmp_path: Path) -> None:
    """Until the owner has named the right address."""
    await destinations(tmp_path, TellingMixin()).learn(CHAIN)
    changed = TellingMixin([entry(OTHER)])
    with pytest.raises(PartnerUnclearError, match="told 0x4444"):
        await destinations(tmp_path, changed).address(CHAIN, TOKEN)
    named = partners(vault=VaultSection(destinations=[OTHER]))
    assert await destinations(tmp_path, changed, named).address(CHAIN, TOKEN) == OTHER
    assert destinations(tmp_path, None).known(CHAIN) == [ADDRESS]


@pytest.mark.parametrize(
    ("mixin", "token", "problem"),
    [
        (TellingMixin(is_down=True), TOKEN, "no answer"),
        (TellingMixin([]), TOKEN, "no address"),
        (TellingMixin([entry(ADDRESS, "memo")]), TOKEN, "without a tag"),
        (TellingMixin(), OTHER, "does not carry"),
        (None, TOKEN, "does not carry"),
    ],
)
async def test_what_mixin_does_not_tell_is_unclear(
    tmp_path: Path, mixin: TellingMixin | None, token: str, problem: str
) -> None:
    """Nothing is kept, and it is asked again."""
    found = destinations(tmp_path, mixin)
    with pytest.raises(PartnerUnclearError, match=problem):
        await found.address(CHAIN, token)
    assert found.known(CHAIN) == []


async def test_tokens_that_mixin_does_not_carry_are_not_asked_for(tmp_path: Path) -> None:
    """A chain may have more tokens than the bot."""
    bare = partners(mixin=partners().mixin.__class__())
    assert await destinations(tmp_path, TellingMixin(), bare).learn(CHAIN) == []


def test_a_damaged_file_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    """Else the first word could be said twice."""
    file = tmp_path / "destinations.json"
    file.touch(0o600)
    file.write_bytes(b"[")
    with pytest.raises(PartnerSetupError, match="damaged"):
        destinations(tmp_path, None).known(CHAIN)
