"""Inputs that once came out as a fault of ours, each with what it must come out as."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mrmarket.core.errors import MrMarketError
from mrmarket.money.ledger.proof import ProofError, read_proof
from mrmarket.money.ledger.seal import SealError, Signed, opened
from mrmarket.money.loyalty.errors import CorruptPriceError, FileRefusedError
from mrmarket.money.loyalty.prices import PriceBook
from mrmarket.services.access.settings import AccessSettings
from mrmarket.services.config import ConfigError, load_config
from mrmarket.services.data_directory import DataDirectory
from mrmarket.services.rail.errors import UnauthorizedError
from mrmarket.services.rail.requests import Requests
from mrmarket.store.errors import DatabaseDamagedError
from mrmarket.store.event_log import read_row
from mrmarket.trading.market.errors import NotATapeError
from mrmarket.trading.market.tape import open_tape
from mrmarket.trading.venue.front.errors import DialectError
from mrmarket.trading.venue.front.signature import KeyRing
from services.doors import Door, sign_in
from services.money_fake import FakeMoney
from services.rail.rail_bench import SmallWorld

NESTED = b'{"x":' * 15_000


@pytest.mark.parametrize(
    "text",
    [
        "pools = [1]\n",
        "pools = ['x', {}]\n",
        "a = " + "[" * 20_000,
        "x = " + "9" * 5_000,
        "[pool.terms]\ntypo = 1\n",
    ],
)
def test_a_configuration_of_the_wrong_shape_is_refused(tmp_path: Path, text: str) -> None:
    """Lists of numbers where tables belong, and lists without end."""
    path = tmp_path / "mrmarket.toml"
    path.write_text(text)
    with pytest.raises(ConfigError):
        load_config(path, {})


@pytest.mark.parametrize("content", [b'{"url":"\x80","pid":5}', NESTED, b""])
def test_a_broken_note_of_whereabouts_is_none(tmp_path: Path, content: bytes) -> None:
    """`mrmarket status` says that nobody is there."""
    (tmp_path / "instance.json").write_bytes(content)
    assert DataDirectory(tmp_path).whereabouts() is None


@pytest.mark.parametrize("document", ["\ud800", "[" * 100_000])
def test_a_seal_that_is_no_text_is_refused(document: str) -> None:
    """Half a character, and a document nested without end."""
    with pytest.raises(SealError):
        opened(Signed(document, "00"))


@pytest.mark.parametrize("content", [NESTED, b"\xff", b'{"account": "\x80"}'])
def test_a_proof_that_is_none_is_refused(content: bytes) -> None:
    """Whoever checks a stranger's proof reads one line."""
    with pytest.raises(ProofError):
        read_proof(content)


@pytest.mark.parametrize("price", ["1e999999999999999999", "[" * 50_000, '"\\ud800"'])
def test_a_price_that_is_none_is_refused(tmp_path: Path, price: str) -> None:
    """An exponent that no decimal can have."""
    path = tmp_path / "prices.json"
    path.write_text(f'{{"tbtc": [[1725840000000, {price}]]}}')
    with pytest.raises(MrMarketError) as refused:
        PriceBook.read(path)
    assert isinstance(refused.value, FileRefusedError) or "tbtc" in str(refused.value)


@pytest.mark.parametrize("time_ms", [4_102_444_800_001, 10**18, 10**30])
def test_a_quote_of_another_age_is_refused(tmp_path: Path, time_ms: int) -> None:
    """Microseconds for milliseconds: no calendar has such a year, and none needs to."""
    path = tmp_path / "prices.json"
    path.write_text(f'{{"tbtc": [[{time_ms}, 1], [1725840000000, 1]]}}')
    with pytest.raises(CorruptPriceError):
        PriceBook.read(path)


def test_a_token_with_bytes_that_are_no_text_is_refused(tmp_path: Path) -> None:
    """As HTTP servers hand such a header on: the rail and the exchange say no, and do not break."""
    small = SmallWorld(tmp_path / "rail")
    requests = Requests(small.world, small.dice, "platform", "wallets")
    with pytest.raises(UnauthorizedError):
        requests.answer("GET", "/v1/rail", {}, b"", "Bearer \udcff")
    with pytest.raises(DialectError):
        KeyRing([], "token").check_funding("\udcff")


@pytest.mark.parametrize("payload", [b"\x80", NESTED, b'{"kind": "\xff"}'])
def test_a_damaged_row_of_the_log_is_damage(payload: bytes) -> None:
    """It is named by its stream and number."""
    row: tuple[Any, ...] = ("stream", 1, 7, 1, payload, b"")
    with pytest.raises(DatabaseDamagedError, match="7"):
        read_row(Path("trading.db"), row)


def test_a_recording_that_is_nested_without_end_is_none(tmp_path: Path) -> None:
    """Its first line is read no further than the decoder goes."""
    path = tmp_path / "nested.tape"
    path.write_bytes(NESTED + b"\n")
    with pytest.raises(NotATapeError):
        open_tape(path)


_PROBE = """
import sys
from mrmarket.services.access.demo import demo_signature
from mrmarket.services.access.wallet import _recovered, checksum_address
import mrmarket.services.supervisor, mrmarket.angel.watch, mrmarket.trading.venue.ccxt_adapter.venue, ccxt.pro
signature = demo_signature("alice", "text")
assert _recovered("text", bytes.fromhex(signature[2:])) == "0x1B15d6fC92708c50E6f828EEA0f3781948D61272"
print(sys.getrecursionlimit())
"""


def test_nothing_that_we_import_lets_the_decoder_overflow_the_stack() -> None:
    """A library once raised the recursion limit to 100,000: then a body of brackets ended the process."""
    ran = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, text=True, check=True)
    assert int(ran.stdout) <= 1000


@pytest.mark.parametrize("body", [b"[" * 65_000, b'{"pool":' * 8_000, b'{"amount":' + b"[" * 60_000])
def test_a_body_of_brackets_is_refused_before_it_is_decoded(body: bytes) -> None:
    """However deep the decoder would go."""
    door = Door(AccessSettings(demo=True), FakeMoney())
    with door.client() as browser:
        headers = sign_in(browser, "alice") | {"Content-Type": "application/json"}
        answer = browser.post("/api/v1/me/deposits", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


@pytest.mark.parametrize("body", [b'{"\x80pool":', b'{"pool":"\xff","asset":"USDT","amount":"1"}'])
def test_a_body_that_is_no_text_is_refused(body: bytes) -> None:
    """In a name as well as in a value."""
    door = Door(AccessSettings(demo=True), FakeMoney())
    with door.client() as browser:
        headers = sign_in(browser, "alice") | {"Content-Type": "application/json"}
        answer = browser.post("/api/v1/me/deposits", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


def test_the_decoder_still_tells_depth_and_bytes_by_other_errors() -> None:
    """Why the readers name them: neither is one of the decoder's own errors."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(1000)  # what other tests import may have raised it
    try:
        with pytest.raises(RecursionError):
            msgspec.json.decode(NESTED)
    finally:
        sys.setrecursionlimit(limit)
    with pytest.raises(UnicodeDecodeError):
        msgspec.json.decode(b'"\x80"')
