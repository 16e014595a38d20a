"""The same proofs, sound and broken, are judged alike by our code, by the page's and by a stranger's."""

from __future__ import annotations

import importlib.util
import json
import os
import random
from copy import deepcopy
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from money.ledger_samples import ALICE, BOB, BTC, WORLD, ask, deposit, move, opened
from mrmarket.core.clock import ManualClock
from mrmarket.core.money import Asset
from mrmarket.money.ledger.account import Account, AccountKind
from mrmarket.money.ledger.group import Group, Transfer, TransferKind
from mrmarket.money.ledger.proof import ProofBook, ProofError, check_proof, read_proof
from mrmarket.money.ledger.seal_key import SealKey
from mrmarket.money.ledger.seal_office import seal_now
from mrmarket.money.ledger.sqlite_store import SqliteStore
from mrmarket.money.ledger.writer import LedgerWriter
from mrmarket.store.sql import SqliteReader

ROOT = Path(__file__).resolve().parents[3]
VECTORS = ROOT / "web" / "src" / "lib" / "verify" / "vectors.json"
KEY = SealKey(bytes(range(32)), bytes(range(32, 64)))
SHARE = Asset("pool", "main", 18)
ISSUER = Account.of(AccountKind.ISSUER, "main")
POOL = Account.of(AccountKind.POOL, "main")


def proofs(folder: Path) -> list[dict[str, Any]]:
    """Three users' proofs from one seal of a small pool, always the same."""
    path = folder / "money.db"
    ledger = opened(SqliteStore.open(path, "test"))
    carol = Account.of(AccountKind.USER, "carol")
    ask(ledger, Group("pool", assets=(SHARE,), accounts=(ISSUER, POOL, carol)))
    ask(ledger, deposit("a", 10_000))
    shares = [
        Transfer(ISSUER.id, user.id, SHARE.id, units, TransferKind.MINT_SHARES)
        for user, units in ((ALICE, 6 * 10**18), (BOB, 4 * 10**18))
    ]
    lock = Transfer(ALICE.id, POOL.id, "sim:USD", 9_000, TransferKind.LOCK)
    ask(ledger, Group("b", (lock, *shares, move(WORLD, BOB, 7, BTC), move(ALICE, carol, 1))))
    writer, reader = LedgerWriter(ledger), SqliteReader(path)
    seal_now(reader, writer, KEY, ManualClock())
    with reader.snapshot() as sql:
        book = ProofBook.of(sql, KEY)
    reader.close()
    writer.close()
    return [msgspec.to_builtins(book.proof(user.id)) for user in (ALICE, BOB, carol)]


def broken(proof: dict[str, Any]) -> list[dict[str, Any]]:
    """The same proof with one thing wrong each."""
    claim = proof["claims"][-1]
    other_hash = "f" * 63 + "0"
    wrongs: dict[str, list[tuple[tuple[str | int, ...], Any]]] = {
        "another amount": [(("claims", -1, "units"), str(int(claim["units"]) + 1))],
        "an amount with a zero in front": [(("claims", -1, "units"), "0" + claim["units"])],
        "an amount below zero": [(("claims", -1, "units"), "-1")],
        "another account": [(("claims", -1, "account"), "user:eve")],
        "another nonce": [(("claims", -1, "nonce"), other_hash)],
        "a short nonce": [(("claims", -1, "nonce"), "00")],
        "another asset": [(("claims", -1, "asset"), "sim:EUR")],
        "a neighbour's sum raised": [
            (("claims", -1, "path", 0, "sum"), str(int(claim["path"][0]["sum"]) + 1))
        ],
        "a neighbour below zero": [(("claims", -1, "path", 0, "sum"), "-5")],
        "a sum that wraps": [(("claims", -1, "path", 0, "sum"), str(2**256 + int(claim["path"][0]["sum"])))],
        "another neighbour": [(("claims", -1, "path", 0, "hash"), other_hash)],
        "a neighbour on the other side": [
            (("claims", -1, "path", 0, "side"), "left" if claim["path"][0]["side"] == "right" else "right")
        ],
        "a way cut short": [(("claims", -1, "path"), claim["path"][:-1])],
        "no claims": [(("claims",), [])],
        "a changed seal": [
            (("seal", "document"), proof["seal"]["document"].replace('"number":1', '"number":2'))
        ],
        "a changed signature": [(("seal", "signature"), "0" + proof["seal"]["signature"][1:-1] + "1")],
        "a pool without its shares": [(("claims",), [claim])],
        "another format": [(("format",), "mrmarket proof v2")],
    }
    return [{"why": why, "proof": _changed(proof, changes)} for why, changes in wrongs.items()]


def _changed(proof: dict[str, Any], changes: list[tuple[tuple[str | int, ...], Any]]) -> dict[str, Any]:
    copy: Any = deepcopy(proof)
    for way, value in changes:
        part = copy
        for name in way[:-1]:
            part = part[name]
        part[way[-1]] = value
    found: dict[str, Any] = copy
    return found


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the file must hold."""
    sound = proofs(tmp_path_factory.mktemp("vectors"))
    return {"public_key": KEY.public, "sound": sound, "broken": broken(sound[0])}


def stranger() -> ModuleType:
    """The stand-alone checker, loaded from its file."""
    spec = importlib.util.spec_from_file_location("check_proof_tool", ROOT / "tools" / "check_proof.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_vectors_in_the_tree_are_todays(vectors: dict[str, Any]) -> None:
    """Proofs are the same bytes from run to run; `MRMARKET_WRITE_VECTORS=1` writes the file anew."""
    text = json.dumps(vectors, indent=1) + "\n"
    if os.environ.get("MRMARKET_WRITE_VECTORS"):
        VECTORS.write_text(text, encoding="utf-8")
    assert json.loads(VECTORS.read_text(encoding="utf-8")) == vectors


def test_our_checker_judges_them_rightly(vectors: dict[str, Any]) -> None:
    """Every sound proof holds, and every broken one is refused."""
    for proof in vectors["sound"]:
        check_proof(read_proof(json.dumps(proof).encode()), KEY.public)
    for case in vectors["broken"]:
        content = json.dumps(case["proof"]).encode()
        with pytest.raises(ProofError):
            check_proof(read_proof(content), KEY.public)


def test_the_stand_alone_checker_judges_them_alike(
    vectors: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It knows nothing of our code and comes to the same; a failure is one line and status 1."""
    tool = stranger()
    file = tmp_path / "proof.json"
    for proof in vectors["sound"]:
        file.write_text(json.dumps(proof))
        tool.main([str(file), "--public-key", KEY.public, "--seal", str(file)])
        assert capsys.readouterr().out.startswith("The proof holds.")
    for case in vectors["broken"]:
        file.write_text(json.dumps(case["proof"]))
        with pytest.raises(SystemExit) as ended:
            tool.main([str(file)])
        assert str(ended.value.code).startswith("the proof does not hold: "), case["why"]
    file.write_text(json.dumps(vectors["sound"][0]))
    with pytest.raises(SystemExit, match="another key"):
        tool.main([str(file), "--public-key", "00" * 32])
    file.write_text("[]")
    with pytest.raises(SystemExit, match="cannot be read"):
        tool.main([str(file)])


def test_the_stand_alone_signatures_are_the_librarys() -> None:
    """Its Ed25519 agrees with a well-known library on random keys, messages and damage."""
    tool = stranger()
    rng = random.Random(8032)  # noqa: S311 - a seed reproduces the run
    for _ in range(12):
        key = Ed25519PrivateKey.from_private_bytes(rng.randbytes(32))
        public, message = key.public_key().public_bytes_raw(), rng.randbytes(rng.randrange(200))
        signature = key.sign(message)
        assert tool.is_signed(public, message, signature)
        damaged = bytearray(signature)
        damaged[rng.randrange(64)] ^= 1 << rng.randrange(8)
        assert not tool.is_signed(public, message, bytes(damaged))
        assert not tool.is_signed(public, message + b"!", signature)
    order = tool.ORDER
    raised = (int.from_bytes(signature[32:], "little") + order).to_bytes(32, "little")
    assert not tool.is_signed(public, message, signature[:32] + raised)
    assert not tool.is_signed(b"short", message, signature)
