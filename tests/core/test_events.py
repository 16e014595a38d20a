"""Facts that cross the wall."""

from __future__ import annotations

import msgspec
import pytest

from mrmarket.core.events import Filled, MarkObserved, decode_fact, encode_fact
from mrmarket.core.side import Side

FILL = Filled(
    venue="sim", at_ns=1, symbol="BTC/USDT", base="BTC", quote="USDT", trade_id="7", client_order_id="mm1",
    venue_order_id="9", side=Side.BUY, price="61837.63", size="0.5", quote_size="30918.815", fee="0.0005",
    fee_asset="BTC", maker=True,
)  # fmt: skip


def test_a_fact_reads_back_to_itself() -> None:
    """Encoding is canonical: the same fact has the same bytes, and they decode to it."""
    assert decode_fact(encode_fact(FILL)) == FILL
    assert encode_fact(decode_fact(encode_fact(FILL))) == encode_fact(FILL)
    assert b'"type":"filled"' in encode_fact(FILL)


def test_an_unknown_kind_is_refused() -> None:
    """Bytes that are no fact of ours raise, they are never half read."""
    with pytest.raises(msgspec.ValidationError):
        decode_fact(b'{"type":"gift","venue":"sim","at_ns":1}')


def test_sides_know_their_sign_and_opposite() -> None:
    """A buy adds base, a sell takes it away."""
    assert (Side.BUY.sign, Side.SELL.sign) == (1, -1)
    assert Side.BUY.opposite is Side.SELL
    assert Side.SELL.opposite is Side.BUY
    assert isinstance(FILL, Filled)
    assert not isinstance(FILL, MarkObserved)
