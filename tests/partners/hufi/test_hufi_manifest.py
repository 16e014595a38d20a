"""Manifests: five types, each field judged with one sentence."""

from __future__ import annotations

import json
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrmarket.partners.hufi.errors import ManifestError
from mrmarket.partners.hufi.manifest import (
    MAX_BYTES,
    CampaignType,
    check_manifest,
    load_manifest,
    manifest_hash,
    read_date,
    read_manifest,
    write_date,
)
from partners.hufi.hufi_stage import CYCLE_MS, START_MS, manifest

NO_VOLUME = {"daily_volume_target": None}
COMPETITIVE = NO_VOLUME | {
    "type": "COMPETITIVE_MARKET_MAKING",
    "minimum_volume_required": 10,
    "rewards_distribution": [50, 30.5],
}
THRESHOLD_MM = NO_VOLUME | {
    "type": "THRESHOLD_MARKET_MAKING",
    "minimum_volume_target": 10,
    "max_participants": 3,
}
HOLDING = NO_VOLUME | {"type": "HOLDING", "pair": None, "symbol": "HMT", "daily_balance_target": 0.5}
THRESHOLD = NO_VOLUME | {"type": "THRESHOLD", "pair": None, "symbol": "HMT", "minimum_balance_target": 7}


def read(**changes: Any) -> Any:
    """Read a manifest that differs so from a good one."""
    return read_manifest(json.dumps(manifest(**changes)))


@pytest.mark.parametrize(
    ("changes", "kind", "market", "target", "prizes", "slots"),
    [
        ({}, "MARKET_MAKING", "ETH/USDT", "1000", (), None),
        (COMPETITIVE, "COMPETITIVE_MARKET_MAKING", "ETH/USDT", "10", ("50", "30.5"), None),
        (THRESHOLD_MM, "THRESHOLD_MARKET_MAKING", "ETH/USDT", "10", (), 3),
        (HOLDING, "HOLDING", "HMT", "0.5", (), None),
        (THRESHOLD, "THRESHOLD", "HMT", "7", (), None),
        (THRESHOLD | {"max_participants": 2}, "THRESHOLD", "HMT", "7", (), 2),
        ({"something_new": {"deep": [1]}}, "MARKET_MAKING", "ETH/USDT", "1000", (), None),
        ({"exchange": "hyperliquid"}, "MARKET_MAKING", "ETH/USDT", "1000", (), None),
    ],
)
def test_all_five_types_are_read(
    changes: dict[str, Any], kind: str, market: str, target: str, prizes: tuple[str, ...], slots: int | None
) -> None:
    """Each type has its own target, exact, and unknown keys are allowed."""
    found = read(**changes)
    assert (found.type, found.market, found.target) == (CampaignType(kind), market, Decimal(target))
    assert (found.prizes, found.max_participants) == (tuple(map(Decimal, prizes)), slots)
    assert (found.start_ms, found.end_ms) == (START_MS, START_MS + 3 * CYCLE_MS)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"type": "AIRDROP"}, "type"),
        ({"type": None}, "type"),
        ({"type": ["MARKET_MAKING"]}, "type"),
        ({"exchange": "Mexc"}, "exchange"),
        ({"exchange": None}, "exchange"),
        ({"pair": "eth/usdt"}, "pair"),
        ({"pair": "ETH/USDT\n"}, "pair"),
        ({"pair": "E/USDT"}, "pair"),
        ({"pair": "ETH/US"}, "pair"),
        (HOLDING | {"symbol": "TOOLONGSYMBOL"}, "symbol"),
        (HOLDING | {"exchange": "pancakeswap"}, "type"),
        (THRESHOLD | {"exchange": "hyperliquid"}, "type"),
        ({"daily_volume_target": "1000"}, "daily_volume_target"),
        ({"daily_volume_target": True}, "daily_volume_target"),
        ({"daily_volume_target": 0}, "daily_volume_target"),
        ({"daily_volume_target": -1.5}, "daily_volume_target"),
        ({"daily_volume_target": None}, "daily_volume_target"),
        ({"start_date": "yesterday"}, "start_date"),
        ({"start_date": "1969-12-31T23:59:59Z"}, "start_date"),
        ({"start_date": "2026-02-30T00:00:00Z"}, "start_date"),
        ({"end_date": write_date(START_MS)}, "end_date"),
        ({"end_date": 5}, "end_date"),
        (COMPETITIVE | {"rewards_distribution": []}, "rewards_distribution"),
        (COMPETITIVE | {"rewards_distribution": [60, 40.01]}, "rewards_distribution"),
        (COMPETITIVE | {"rewards_distribution": [60, 0]}, "rewards_distribution"),
        (COMPETITIVE | {"rewards_distribution": ["60"]}, "rewards_distribution"),
        (COMPETITIVE | {"rewards_distribution": 100}, "rewards_distribution"),
        (THRESHOLD_MM | {"max_participants": None}, "max_participants"),
        (THRESHOLD_MM | {"max_participants": 1.5}, "max_participants"),
        (THRESHOLD | {"max_participants": 0}, "max_participants"),
    ],
)
def test_what_does_not_fit_is_named(changes: dict[str, Any], field: str) -> None:
    """The error says which field, under one code."""
    with pytest.raises(ManifestError) as refused:
        read(**changes)
    assert (refused.value.field, refused.value.code) == (field, "hufi_manifest")
    assert str(refused.value).startswith(f"manifest, {field}: ")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "7",
        "{",
        '{"type": NaN}',
        '{"type": "A", "type": "B"}',
        '{"a": 1e999999999999999999999}',
        '{"a": 1e999}',
        '{"a": ' + "9" * 61 + "}",
        '{"a": 1.' + "9" * 61 + "}",
        '{"a":' * 100_000,
        " " * (MAX_BYTES + 1),
        b"\xff\xfe{",
    ],
)
def test_a_text_that_is_no_object_is_refused(text: str | bytes) -> None:
    """NaN, names that stand twice, endless nesting and endless numbers are all no manifest."""
    with pytest.raises(ManifestError) as refused:
        read_manifest(text)
    assert refused.value.field == "text"


@settings(max_examples=30)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=8), st.lists, max_leaves=5))
def test_no_value_of_any_field_surprises(value: object) -> None:
    """Whatever stands in whichever field, the answer is a manifest or a ManifestError."""
    for kind in (manifest(), manifest(**COMPETITIVE), manifest(**THRESHOLD_MM), manifest(**HOLDING)):
        for name in kind:
            with suppress(ManifestError):
                assert check_manifest(kind | {name: value}).target > 0


@given(st.integers(0, 4_102_444_800_000))
def test_dates_survive_a_round_trip(at_ms: int) -> None:
    """Milliseconds to text and back are the same, wherever the machine stands."""
    assert read_date(write_date(at_ms), "date") == at_ms


def test_a_zone_is_honoured_and_none_is_utc() -> None:
    """Midnight in Berlin is an hour before midnight UTC; a date alone is midnight UTC."""
    assert read_date("2026-01-01T00:00:00+01:00", "date") == read_date("2025-12-31T23:00:00Z", "date")
    assert read_date("2026-01-01", "date") == read_date("2026-01-01T00:00:00.000Z", "date")


async def test_a_manifest_behind_an_address_must_have_its_hash() -> None:
    """SHA-1 as the escrow states it; with `0x` or capitals too; another document is refused."""
    content = json.dumps(manifest()).encode()

    async def fetch(url: str) -> bytes:
        assert url == "https://files.example/m.json"
        return content

    good = manifest_hash(content)
    for stated in (good, "0x" + good.upper()):
        assert (await load_manifest("https://files.example/m.json", stated, fetch)).market == "ETH/USDT"
    for stated in (manifest_hash("another"), "abc", ""):
        with pytest.raises(ManifestError) as refused:
            await load_manifest("https://files.example/m.json", stated, fetch)
        assert refused.value.field == "manifestHash"


async def test_an_inline_manifest_needs_no_address() -> None:
    """Inline JSON is read as it is; what is neither JSON nor an address is refused."""

    async def fetch(url: str) -> bytes:
        raise AssertionError(url)

    inline = " " + json.dumps(manifest())
    assert (await load_manifest(inline, "", fetch)).exchange == "mexc"
    with pytest.raises(ManifestError):
        await load_manifest("ipfs://somewhere", manifest_hash(""), fetch)
