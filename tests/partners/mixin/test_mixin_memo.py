"""Memos in both public forms."""

from __future__ import annotations

from uuid import UUID

import base58
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrmarket.core.errors import InvalidInputError
from mrmarket.partners.mixin.errors import MemoError
from mrmarket.partners.mixin.memo import (
    Memo,
    MemoAction,
    MemoKind,
    _checksum,
    read_memo,
    snapshot_text,
    write_memo,
)

PAIR = UUID("a1b2c3d4-e5f6-7890-abcd-ef1234567890")
ORDER = UUID("12345678-90ab-cdef-1234-567890abcdef")
REWARD = bytes.fromhex("742d35Cc6634C0532925a3b844Bc9e7595f8fA49")
CREATE = MemoAction.CREATE

CANONICAL = {
    "f25Du256JpEmqJkmiLpLVJoPSgpj7yH4jRBujdgWHZrPhhtvWe3S": Memo(MemoKind.MARKET_MAKING, CREATE, ORDER, PAIR),
    "2D2Th5erhpYWHY93xr4ez8BD7oV8vBY": Memo(MemoKind.SIMPLY_GROW, CREATE, ORDER, None),
}
LONGER = {
    "3MecfiojwBQtMh96Vf89opR4xbbGnJf6t9s34No5aCvAxpEF67dsutxxiR3kJ1Efc6mF5MkxbkkYyQ2Q": Memo(
        MemoKind.MARKET_MAKING, CREATE, ORDER, PAIR, REWARD, legacy=True
    ),
    "3NBDUP21MBN4dnnrTaHuHAYBMPNwHLPz7Y4wwGsG3ujULAqTa2tYJuAxdDiZmYjx3XerVN1D2q6zdXgc": Memo(
        MemoKind.ARBITRAGE, CREATE, ORDER, PAIR, REWARD, legacy=True
    ),
    "5JkNjkChhHjzsFr6cm4yAbJPUGVDST6tk9Cxdapvvq9kFgBmJuQVoahd8v": Memo(
        MemoKind.SIMPLY_GROW,
        CREATE,
        UUID("b0177350-ae29-43ec-a26e-d46f821e416e"),
        None,
        bytes.fromhex("7dfa0e4456cb794d1f46cc8e0e5882dc3ad6d6d3"),
        legacy=True,
    ),
    "5JkQ2HgrejnStAJyD1UyH3p5t2EfNH4yqvkqP54Bf4ZxFt9QhB7JGVSo8f": Memo(
        MemoKind.SIMPLY_GROW,
        CREATE,
        UUID("c9f52c4c-1d03-47ce-89a3-bba2cd48f5d6"),
        None,
        bytes.fromhex("1AE60D36412a6745fce4d4935FF5Bf2b8139a371"),
        legacy=True,
    ),
}


def sealed(payload: bytes) -> str:
    """A memo around any payload."""
    return base58.b58encode(payload + _checksum(payload)).decode()


@pytest.mark.parametrize("text", CANONICAL)
def test_the_canonical_form_is_written_and_read(text: str) -> None:
    """Both vectors of the shorter form, byte by byte, there and back."""
    assert read_memo(text) == CANONICAL[text]
    assert write_memo(CANONICAL[text]) == text


@pytest.mark.parametrize("text", LONGER)
def test_the_longer_form_is_read(text: str) -> None:
    """All vectors of the longer form, with their reward address."""
    assert read_memo(text) == LONGER[text]


def test_what_only_the_longer_form_says_is_not_written() -> None:
    """Arbitrage has no canonical form; nor has a market without a pair, or growth with one."""
    for memo in (
        Memo(MemoKind.ARBITRAGE, CREATE, ORDER, PAIR),
        Memo(MemoKind.MARKET_MAKING, CREATE, ORDER, None),
        Memo(MemoKind.SIMPLY_GROW, CREATE, ORDER, PAIR),
    ):
        with pytest.raises(InvalidInputError):
            write_memo(memo)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("3NB9J7yT6msdnWVto4W5LxRyQndoLfzwA8TJcuBtKcTWLqG5n8S3pUBBiVjVLR9PekLU8sRo6h7M", "checksum"),
        ("", "length"),
        ("1", "length"),
        ("1" * 300, "length"),
        ("0OIl", "alphabet"),
        ("ünï", "alphabet"),
        (sealed(b"\x02\x01\x01" + bytes(32)), "version"),
        (sealed(b"\x01\x01\x03" + bytes(32)), "action"),
        (sealed(b"\x01\x00\x01" + bytes(32)), "type"),
        (sealed(b"\x01\x05\x01" + bytes(32)), "type"),
        (sealed(b"\x01\x01\x01" + bytes(31)), "length"),
        (sealed(b"\x01\x01\x01" + bytes(52)), "length"),
        (sealed(b"\x01\x02\x01" + bytes(15)), "length"),
        (sealed(b"\x01\x03\x01" + bytes(32)), "length"),
    ],
)
def test_what_is_no_memo_says_why(text: str, reason: str) -> None:
    """Every way of being wrong has its own reason."""
    with pytest.raises(MemoError) as refused:
        read_memo(text)
    assert refused.value.reason == reason


def test_bytes_after_a_growth_memo_are_tolerated() -> None:
    """Older senders append bytes; the order is what counts."""
    memo = read_memo(sealed(b"\x01\x02\x01" + ORDER.bytes + b"\x07\x07"))
    assert (memo.order, memo.reward_address, memo.legacy) == (ORDER, None, True)


def test_snapshots_carry_memos_in_hex() -> None:
    """Hex of printable text becomes the text; what is no hex, or hides control characters, stays."""
    text = next(iter(CANONICAL))
    assert snapshot_text(text.encode().hex()) == text
    assert snapshot_text(text) == text
    assert snapshot_text("00ff") == "00ff"
    assert snapshot_text("0a") == "0a"
    assert snapshot_text("") == ""


@given(
    st.sampled_from([MemoKind.MARKET_MAKING, MemoKind.SIMPLY_GROW]),
    st.sampled_from(MemoAction),
    st.uuids(),
    st.uuids(),
)
def test_every_memo_comes_back(kind: MemoKind, action: MemoAction, order: UUID, pair: UUID) -> None:
    """Writing and reading is the identity."""
    memo = Memo(kind, action, order, pair if kind is MemoKind.MARKET_MAKING else None)
    assert read_memo(write_memo(memo)) == memo


@given(st.one_of(st.text(max_size=90), st.binary(max_size=80).map(sealed)))
def test_any_text_is_a_memo_or_a_memo_error(text: str) -> None:
    """Nothing else is ever raised."""
    try:
        memo = read_memo(text)
    except MemoError:
        return
    assert memo.kind in MemoKind


@given(st.integers(0, 51), st.sampled_from("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"))
def test_one_wrong_character_is_noticed(place: int, char: str) -> None:
    """The checksum finds it wherever it is."""
    text = next(iter(CANONICAL))
    changed = text[:place] + char + text[place + 1 :]
    if changed == text:
        assert read_memo(changed) == CANONICAL[text]
    else:
        with pytest.raises(MemoError):
            read_memo(changed)
