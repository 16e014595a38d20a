"""Files that people and disks hand us: read, or refused in one line with a code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.mangling import FUZZ, TEXTS, mangled, refuse_or_take
from money.loyalty.loyalty_samples import raw_events
from mrmarket.angel.diary import read_journal
from mrmarket.cli.commands.ledger_proofs import read_seal
from mrmarket.core.clock import ManualClock
from mrmarket.money.ledger.proof import check_proof, read_proof
from mrmarket.money.ledger.seal import SealChain, SealDocument, Signed, opened, sign
from mrmarket.money.ledger.seal_key import SealKey
from mrmarket.money.loyalty.pool_events import PoolEventFile
from mrmarket.money.loyalty.prices import PriceBook
from mrmarket.services.config import load_config
from mrmarket.services.data_directory import DataDirectory
from mrmarket.services.keys.key_file import read_key_file
from mrmarket.services.keys.key_source import KeyInFile
from mrmarket.services.keys.typed import read_credentials
from mrmarket.store.event_log import read_row
from mrmarket.store.migration import CONTROL_SCHEMA, MONEY_SCHEMA, TRADING_SCHEMA, check_version, prepare
from services.keys.key_samples import credentials, store_in

TOML = b"""
[instance]
name = "My pool"
[api]
port = 8080
allowed_hosts = ["a.example"]
public_url = "https://market.example"
[venue]
exchange = "simulated"
key = ""
recv_window_ms = 2000
[keys]
key_file = ""
[simulation]
speed = 20.0
maker_fee = 0.001
[[simulation.faults.rules]]
kind = "timeout_after"
match = "POST /api/v3/order"
rate = 0.5
[strategy]
bid_spread = 0.0003
order_amount = "0.01"
number_of_layers = 2
[pool.terms]
minimum_deposit = "10"
[[pools]]
name = "second"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where broken files are put."""
    return tmp_path_factory.mktemp("files")


def put(folder: Path, name: str, content: bytes) -> Path:
    """A file that only its owner may read."""
    path = folder / name
    path.touch(0o600)
    path.write_bytes(content)
    return path


@FUZZ
@given(content=mangled([TOML, *(line + b"\n" for line in TOML.split(b"\n") if b"=" in line)]))
def test_a_configuration_is_taken_or_refused(folder: Path, content: bytes) -> None:
    """What is taken can be shown."""
    refuse_or_take(lambda path: load_config(path, {}).view(), put(folder, "fuzzed.toml", content))


@pytest.fixture(scope="module")
def key_files(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """A file of two exchange keys."""
    place = tmp_path_factory.mktemp("keys")
    store = store_in(place)
    store.add("main", "binance", credentials())
    store.add("other", "okx", credentials("-2"))
    return [(place / "keys.json").read_bytes()]


@FUZZ
@given(data=st.data())
def test_a_file_of_keys_opens_as_it_was_or_not_at_all(
    folder: Path, key_files: list[bytes], data: st.DataObject
) -> None:
    """Nothing that was changed is ever used."""
    path = put(folder, "keys.json", data.draw(mangled(key_files)))

    def use(file: Path) -> object:
        read_key_file(file)
        store = store_in(file.parent)
        for entry in store.entries():
            assert store.credentials(entry.name).api_key.reveal().startswith("api-key-of-the-test")
        return store

    refuse_or_take(use, path)


@FUZZ
@given(content=st.binary(max_size=60) | mangled([b"mmk1_" + b"A" * 43, b"a passphrase of mine"]))
def test_a_master_key_is_read_or_refused(folder: Path, content: bytes) -> None:
    """Any bytes at all."""
    path = put(folder, "master.key", content)
    refuse_or_take(lambda file: KeyInFile(file).candidates(), path)


@FUZZ
@given(content=mangled([b"key\nsecret\nphrase\n", b'{"api_key":"k","secret":"s","password":"p"}']))
def test_credentials_are_read_or_refused(folder: Path, content: bytes) -> None:
    """From a pipe, with whatever encoding."""
    path = put(folder, "typed", content)
    with path.open(encoding="utf-8") as stream:
        refuse_or_take(read_credentials, stream)


class Sealed:
    """A signed seal, and a proof's file with it."""

    def __init__(self) -> None:
        key = SealKey.generate()
        document = SealDocument(
            number=1,
            previous="0" * 64,
            public_key=key.public,
            **_fields_of_a_seal(),
        )
        signed = sign(document, key)
        self.seal = msgspec.json.encode(signed)
        self.proof = msgspec.json.encode(
            {
                "format": "mrmarket proof v1",
                "account": "user:alice",
                "seal": signed,
                "rotations": [],
                "claims": [],
                "pools": [],
            }
        )


def _fields_of_a_seal() -> dict[str, Any]:
    known = {"number", "previous", "public_key", "format"}
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(SealDocument):
        if field.name in known or not field.required:
            continue
        values[field.name] = [] if field.name == "assets" else (1 if field.type is int else "0" * 64)
    return values


SEALED = Sealed()


@FUZZ
@given(content=mangled([SEALED.seal, SEALED.proof]))
def test_a_seal_is_opened_or_refused(folder: Path, content: bytes) -> None:
    """As a file of its own, out of a proof, and as the next of a chain."""
    path = put(folder, "seal.json", content)

    def use(file: Path) -> object:
        signed = read_seal(file)
        opened(signed)
        return SealChain().follow(signed)

    refuse_or_take(use, path)


@FUZZ
@given(
    document=st.text(max_size=30) | st.sampled_from(TEXTS),
    signature=st.sampled_from(TEXTS) | st.text(max_size=8),
)
def test_any_signed_text_is_opened_or_refused(document: str, signature: str) -> None:
    """Halves of characters too."""
    refuse_or_take(opened, Signed(document, signature))


@FUZZ
@given(content=mangled([SEALED.proof]))
def test_a_proof_is_checked_or_refused(content: bytes) -> None:
    """Nobody can crash the checker with a proof."""
    refuse_or_take(lambda text: check_proof(read_proof(text)), content)


EVENTS = json.dumps(raw_events()[:6]).encode()
PRICES = b'{"tbtc": [[1725840000000, 60000.5], [1725926400000, 61000]], "ethereum": [[1725840000000, 2300]]}'


@FUZZ
@given(content=mangled([EVENTS]))
def test_liquidity_events_are_read_or_refused(folder: Path, content: bytes) -> None:
    """Amounts without end, times in other units, tokens that contradict each other."""
    path = put(folder, "events.json", content)
    refuse_or_take(lambda file: PoolEventFile(file).read(), path)


@FUZZ
@given(content=mangled([PRICES]))
def test_prices_are_read_or_refused(folder: Path, content: bytes) -> None:
    """NaN, exponents of a million, times out of order."""
    refuse_or_take(PriceBook.read, put(folder, "prices.json", content))


FAMILIES = {"trading.db": TRADING_SCHEMA, "money.db": MONEY_SCHEMA, "control.db": CONTROL_SCHEMA}


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Empty databases of each kind, as bytes."""
    place = tmp_path_factory.mktemp("databases")
    for name, family in FAMILIES.items():
        prepare(place / name, family)
    return {name: (place / name).read_bytes() for name in FAMILIES}


@FUZZ
@given(data=st.data())
def test_a_damaged_database_is_named_before_anything_is_touched(
    folder: Path, databases: dict[str, bytes], data: st.DataObject
) -> None:
    """Garbage, cut files, flipped bits: the version is read, or the damage is said."""
    name = data.draw(st.sampled_from(sorted(FAMILIES)))
    content = bytearray(databases[name])
    for _ in range(data.draw(st.integers(1, 20))):
        at = data.draw(st.integers(0, min(len(content), 8192) - 1))
        content[at] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content))) :]
    path = put(folder, name, bytes(content))
    refuse_or_take(lambda file: check_version(file, FAMILIES[name]), path)


READERS: dict[str, tuple[bytes, Callable[[Path], object]]] = {
    "instance.json": (
        b'{"url":"http://127.0.0.1:8080","pid":5}',
        lambda path: DataDirectory(path.parent).whereabouts(),
    ),
    "angel.journal": (
        b'{"id":"a","angel":"x","at_ms":1,"incident":"i","action":"cancel"}\n' * 3,
        read_journal,
    ),
    "seal.key": (
        b'{"format":"mrmarket seal key v1","private_key":"'
        + b"ab" * 32
        + b'","nonce_secret":"'
        + b"cd" * 32
        + b'"}',
        SealKey.read,
    ),
}


@pytest.mark.parametrize("name", sorted(READERS))
@FUZZ
@given(data=st.data())
def test_a_small_file_of_ours_is_read_or_refused(folder: Path, name: str, data: st.DataObject) -> None:
    """Where the instance is, what the Angel did, the key of the seals."""
    seed, read = READERS[name]
    refuse_or_take(read, put(folder, name, data.draw(mangled([seed]))))


FACTS = [
    b'{"kind":"OrderCreated","at_ns":1,"client_order_id":"mm1"}',
    b'{"type":"Filled","at_ns":1,"trade_id":"1","price_ticks":5}',
]


@FUZZ
@given(payload=mangled(FACTS))
def test_a_fact_of_the_log_is_read_or_is_damage(payload: bytes) -> None:
    """A row that is no fact is named with its stream and number."""
    refuse_or_take(lambda text: read_row(Path("trading.db"), ("s", 1, 1, 1, text, b"")), payload)


def test_the_clock_of_the_samples_stands_still() -> None:
    """What the samples are made with is the same in every run."""
    assert ManualClock().now_ns() == ManualClock().now_ns()
