"""Opening partners: where their keys are looked for, and what is said where they are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from mrmarket.core.errors import MrMarketError
from mrmarket.partners.chains.signer import write_keyfile
from mrmarket.services.partners import opening
from mrmarket.services.partners.errors import PartnerOffError, PartnersMissingError, SecretMissingError
from mrmarket.services.partners.mixin_room import MixinRoom
from mrmarket.services.partners.section import MixinSection, PricesSection, VaultSection
from services.partners.partner_samples import KEY, KEYSTORE, partners, setting


async def test_a_signer_signs_texts_as_a_wallet_does() -> None:
    """EIP-191, as HuFi checks it."""
    signer = opening.open_signer(setting(Path(), {"MRMARKET_VAULT_KEY": KEY}))
    signature = await signer.sign_text('{"nonce":"signup"}')
    assert (len(signature), signature[:12]) == (132, "0xcf4047ad6f")


def test_the_vaults_key_may_be_in_a_file(tmp_path: Path) -> None:
    """Its password is in the environment."""
    address = write_keyfile(tmp_path / "vault.json", bytes.fromhex(KEY), "pass", iterations=2)
    vault = VaultSection(key_file=str(tmp_path / "vault.json"))
    with pytest.raises(SecretMissingError, match="MRMARKET_VAULT_PASSWORD"):
        opening.open_signer(setting(tmp_path, vault=vault))
    found = opening.open_signer(setting(tmp_path, {"MRMARKET_VAULT_PASSWORD": "pass"}, vault=vault))
    assert found.address == address


def test_the_bots_keystore_is_a_private_file_or_a_variable(tmp_path: Path) -> None:
    """One that others may read is refused; so is none."""
    assert opening.open_keystore(setting(tmp_path, {"MRMARKET_MIXIN_KEYSTORE": KEYSTORE})).can_spend
    with pytest.raises(SecretMissingError, match="MRMARKET_MIXIN_KEYSTORE"):
        opening.open_keystore(setting(tmp_path))
    file = tmp_path / "keystore.json"
    named = MixinSection(keystore=str(file), assets=partners().mixin.assets)
    with pytest.raises(SecretMissingError, match="no such file"):
        opening.open_keystore(setting(tmp_path, mixin=named))
    file.touch(0o600)
    file.write_text(KEYSTORE)
    assert opening.open_keystore(setting(tmp_path, mixin=named)).can_spend
    file.chmod(0o644)
    with pytest.raises(SecretMissingError, match="chmod 600"):
        opening.open_keystore(setting(tmp_path, mixin=named))


async def test_no_assets_mean_no_bot(tmp_path: Path) -> None:
    """There is nothing to open, and asking for it says so."""
    alone = setting(tmp_path, mixin=MixinSection())
    assert MixinRoom.open(alone) is None
    with pytest.raises(PartnerOffError, match="no bot"):
        opening.open_mixin(alone)


async def test_a_bot_is_a_rail_with_a_book_of_its_own(tmp_path: Path) -> None:
    """It carries what is configured and keeps its transfers in the data folder."""
    room = MixinRoom.open(setting(tmp_path, {"MRMARKET_MIXIN_KEYSTORE": KEYSTORE}))
    assert room is not None
    assert [asset.id for asset in room.rail.assets()] == ["mixin:HMT"]
    assert (tmp_path / "mixin.db").stat().st_mode & 0o077 == 0
    assert (room.part.app_id, room.part.pending()) == (room.client.app_id, 0)
    await room.resume()
    await room.close()


async def test_a_bot_whose_book_cannot_be_used_is_not_half_open(tmp_path: Path) -> None:
    """Two assets of one id are refused, and the book is closed again."""
    first = partners().mixin.assets[0]
    twice = MixinSection(assets=[first, first])
    with pytest.raises(MrMarketError, match="each id once"):
        MixinRoom.open(setting(tmp_path, {"MRMARKET_MIXIN_KEYSTORE": KEYSTORE}, mixin=twice))


async def test_hufi_and_prices_ask_nobody_when_they_are_opened(tmp_path: Path) -> None:
    """Lines are opened at the first question."""
    found = setting(tmp_path, {"MRMARKET_VAULT_KEY": KEY})
    doors = opening.open_hufi(found, opening.open_signer(found))
    assert not doors.session.is_in
    await doors.close()
    desk = opening.open_prices(setting(tmp_path, prices=PricesSection(coins={"HMT": "human-protocol"})))
    assert desk.prices.name == "coingecko"
    await desk.close()
    book = opening.open_chains(found)
    book.close()


def test_without_the_libraries_one_sentence_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of ours is imported that would fail."""
    monkeypatch.setattr(opening, "find_spec", lambda name: None)
    with pytest.raises(PartnersMissingError, match="pip install"):
        opening.open_signer(setting(Path()))
