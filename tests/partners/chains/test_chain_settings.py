"""What is configured of chains: refused early, with what to correct, and never printed whole."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
import pytest

from mrmarket.partners.chains import web3_door
from mrmarket.partners.chains.errors import ChainSettingsError
from mrmarket.partners.chains.settings import (
    ChainSettings,
    SpendingLimit,
    TokenSettings,
    VaultSettings,
    address_of,
)
from partners.chains.chain_samples import OTHER_TOKEN, TOKEN, chain_settings, vault_settings

CHECKSUMMED = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"name": "Main Net"},
        {"chain_id": 0},
        {"urls": []},
        {"urls": ["ws://127.0.0.1"]},
        {"poll_ms": 0},
        {"max_gas": 0},
        {"confirmations": -1},
        {"confirmations": 31},
        {"tokens": [TokenSettings(code="A", address=TOKEN, decimals=6)] * 2},
    ],
)
def test_a_chain_that_cannot_work_is_refused(changes: dict[str, Any]) -> None:
    """Before anything starts, with the field that is wrong."""
    with pytest.raises(ChainSettingsError) as caught:
        chain_settings(**changes)
    assert caught.value.code == "chain_settings_refused"


@pytest.mark.parametrize(
    "changes",
    [{"code": ""}, {"code": "a\n"}, {"address": "0x12"}, {"decimals": 37}, {"dust_units": -1}],
)
def test_a_token_that_cannot_be_is_refused(changes: dict[str, Any]) -> None:
    """Code, address, decimals and limits."""
    values: dict[str, Any] = {"code": "A", "address": TOKEN, "decimals": 6}
    with pytest.raises(ChainSettingsError):
        TokenSettings(**(values | changes))


@pytest.mark.parametrize("changes", [{"stuck_s": 0}, {"max_replacements": -1}, {"destinations": ["x"]}])
def test_a_vault_that_cannot_work_is_refused(changes: dict[str, Any]) -> None:
    """Times, counts and addresses."""
    with pytest.raises(ChainSettingsError):
        vault_settings(**changes)
    with pytest.raises(ChainSettingsError):
        SpendingLimit(token=TOKEN, units=0)


def test_a_token_without_a_limit_is_not_moved_at_all() -> None:
    """Forgetting a limit is no permission."""
    assert vault_settings().limit(TOKEN) == 1_000
    assert vault_settings().limit(OTHER_TOKEN) == VaultSettings().limit(TOKEN) == 0


def test_an_address_with_a_mistyped_digit_is_refused() -> None:
    """Mixed case carries a checksum (EIP-55); one case carries none."""
    assert address_of("a", CHECKSUMMED) == CHECKSUMMED.lower()
    assert address_of("a", "0x" + CHECKSUMMED[2:].upper()) == CHECKSUMMED.lower()
    with pytest.raises(ChainSettingsError, match="checksum"):
        address_of("a", CHECKSUMMED.replace("5aA", "5AA"))


def test_settings_are_read_from_a_document_and_never_show_a_nodes_address() -> None:
    """It often holds a key: neither the repr nor the library's own log may tell it."""
    text = b'{"name": "main", "chain_id": 1, "urls": ["https://node.example/SECRET"], "confirmations": 3}'
    settings = msgspec.json.decode(text, type=ChainSettings)
    assert "SECRET" not in f"{settings} {settings!r}"
    assert settings.token(TOKEN) is None
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text.replace(b"urls", b"url"), type=ChainSettings)
    assert web3_door.AsyncWeb3 is not None
    assert not logging.getLogger("web3.providers.AsyncHTTPProvider").isEnabledFor(logging.DEBUG)
