"""Short texts from outside: amounts, ids, sign-in messages, signatures, addresses."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from fuzz.mangling import FUZZ, NUMBERS, TEXTS, mangled, refuse_or_take
from mrmarket.core.clock import ManualClock
from mrmarket.core.decimals import format_units, parse_units
from mrmarket.services.access import siwe
from mrmarket.services.access.identity import Site
from mrmarket.services.access.wallet import Nonces, WalletCheck
from mrmarket.services.rail.address import canonical_address
from mrmarket.trading.execution.order_id import OrderIds, parse_order_id

ANY = st.text(max_size=60) | st.sampled_from((*NUMBERS, *TEXTS))
MESSAGE = """market.example wants you to sign in with your Ethereum account:
0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2

Sign in.

URI: https://market.example/login
Version: 1
Chain ID: 1
Nonce: 32891756abc
Issued At: 2026-01-01T00:00:00Z
Expiration Time: 2026-01-02T00:00:00Z
Resources:
- https://a.example/1"""


@FUZZ
@given(text=ANY, decimals=st.integers(0, 36))
def test_an_amount_is_exact_or_refused(text: str, decimals: int) -> None:
    """What is taken has digits and a point only, and comes back as the same number."""
    if refuse_or_take(lambda given: parse_units(given, decimals), text):
        units = parse_units(text, decimals)
        assert parse_units(format_units(units, decimals), decimals) == units
        assert text.isascii()


@FUZZ
@given(ANY)
def test_an_order_id_is_ours_or_not(text: str) -> None:
    """No text of another makes us believe that an order is ours."""
    ids = OrderIds("instance", "run")
    parsed = parse_order_id(text)
    assert ids.owns(text) == (parsed is not None and parsed.prefix == ids.prefix)


@FUZZ
@given(content=mangled([MESSAGE.encode()]))
def test_a_sign_in_message_is_read_to_the_letter_or_refused(content: bytes) -> None:
    """What is taken is written back as the very same text."""
    text = content.decode("utf-8", "surrogateescape")
    if refuse_or_take(siwe.parse, text):
        assert siwe.parse(text).text() == text


@FUZZ
@given(ANY | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(\.[0-9]{1,400})?(Z|[+-][0-9]{2}:[0-9]{2})"))
def test_a_moment_is_one_or_refused(text: str) -> None:
    """Years that do not exist, endless fractions, offsets of a week."""
    refuse_or_take(siwe.moment_ms, text)


@FUZZ
@given(
    content=mangled([MESSAGE.encode()]),
    signature=ANY | st.from_regex(r"0x[0-9a-f]{128}1[bc]", fullmatch=True),
)
def test_nobody_gets_in_by_accident(content: bytes, signature: str) -> None:
    """Whatever text and signature: refused, never a fault."""
    clock = ManualClock()
    check = WalletCheck(
        clock, Nonces(clock, lambda count: hashlib.sha512(b"x").digest()[:count]), frozenset({1})
    )
    site = Site("https", "market.example")
    text = content.decode("utf-8", "surrogateescape")
    assert not refuse_or_take(lambda given: check.signer(given, signature, site), text)


@FUZZ
@given(ANY)
def test_an_address_is_one_or_refused(text: str) -> None:
    """Also mixed case, other digits and other lengths."""
    refuse_or_take(canonical_address, text)
