"""Seals say where the ledger stands, are chained and signed, and survive a change of keys."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from money.ledger_samples import ALICE, BOB, BTC, WORLD, ask, deposit, move, opened
from mrmarket.core.clock import ManualClock
from mrmarket.money.ledger import seal_office
from mrmarket.money.ledger.group import Group, Phase, Transfer, TransferKind
from mrmarket.money.ledger.ledger import Ledger
from mrmarket.money.ledger.merkle import NegativeClaimError
from mrmarket.money.ledger.seal import (
    GENESIS,
    RotationDocument,
    SealChain,
    SealDocument,
    SealedAsset,
    SealError,
    Signed,
    sign,
)
from mrmarket.money.ledger.seal import opened as opened_seal
from mrmarket.money.ledger.seal_claims import claims_at, tree_of
from mrmarket.money.ledger.seal_key import KEY_FILE, SealKey, SealKeyError, is_signed
from mrmarket.money.ledger.seal_office import CRASH_POINTS, KeyRing, draw_up, seal_now
from mrmarket.money.ledger.seal_rows import SealRows
from mrmarket.money.ledger.sqlite_store import SqliteStore
from mrmarket.money.ledger.verification import verify_ledger
from mrmarket.money.ledger.writer import LedgerWriter
from mrmarket.store.sql import SqliteReader

KEY = SealKey(bytes(range(32)), bytes(32))


class Books:
    """A running ledger with two users, a reader, and a key ring."""

    def __init__(self, path: Path) -> None:
        self.clock = ManualClock()
        self.ledger: Ledger = opened(SqliteStore.open(path, "test"))
        ask(self.ledger, deposit("a", 100))
        ask(self.ledger, Group("b", (move(WORLD, BOB, 7, BTC), move(BOB, ALICE, 2, BTC))))
        self.writer = LedgerWriter(self.ledger)
        self.reader = SqliteReader(path)
        self.ring = KeyRing(path.parent)

    def seal(self) -> Signed:
        """A seal with the key of the folder."""
        return seal_now(self.reader, self.writer, self.key, self.clock)

    @property
    def key(self) -> SealKey:
        """The key that must sign."""
        with self.reader.snapshot() as sql:
            return self.ring.key(sql)

    def close(self) -> None:
        """End the writer."""
        self.reader.close()
        self.writer.close()


def follow_all(documents: list[Signed]) -> SealChain:
    """Walk a chain from its beginning."""
    chain = SealChain()
    for signed in documents:
        chain.follow(signed)
    return chain


@pytest.fixture
def books(path: Path) -> Iterator[Books]:
    """Books to seal."""
    books = Books(path)
    yield books
    books.close()


def test_a_seal_states_head_time_and_what_is_owed(books: Books) -> None:
    """Its sums are the users' balances; its roots are those of their trees; it is signed and canonical."""
    signed = books.seal()
    document = opened_seal(signed)
    assert isinstance(document, SealDocument)
    with books.reader.snapshot() as sql:
        ((seq, head),) = sql.rows("SELECT seq, hash FROM groups ORDER BY seq DESC LIMIT 1")
    assert (document.number, document.previous, document.seq, document.head) == (1, GENESIS, seq, head.hex())
    assert document.at_ms == books.clock.now_ns() // 1_000_000
    tree = tree_of({ALICE.id: 2, BOB.id: 5}, books.key, 1, BTC.id)
    assert document.assets[0] == SealedAsset(
        id=BTC.id, decimals=8, leaves=2, sum="7", root=tree.root.hash.hex()
    )
    assert [(asset.id, asset.sum) for asset in document.assets] == [("sim:BTC", "7"), ("sim:USD", "100")]
    assert " " not in signed.document.replace("mrmarket seal v1", "")
    assert is_signed(document.public_key, signed.document.encode(), bytes.fromhex(signed.signature))


def test_seals_are_chained(books: Books) -> None:
    """Each names the hash of the one before; a chain with one left out or altered is refused."""
    seals = [books.seal() for _ in range(3)]
    assert follow_all(seals).number == 3
    for wrong in (seals[1:], seals[::2]):
        with pytest.raises(SealError, match="missing"):
            follow_all(wrong)


def test_a_nonce_belongs_to_one_user_asset_and_seal() -> None:
    """Nobody can recognise a user from seal to seal, nor without the secret."""
    nonces = {
        KEY.nonce(1, "sim:USD", "user:alice"),
        KEY.nonce(2, "sim:USD", "user:alice"),
        KEY.nonce(1, "sim:BTC", "user:alice"),
        KEY.nonce(1, "sim:USD", "user:bob"),
        SealKey(bytes(range(32)), bytes([1]) * 32).nonce(1, "sim:USD", "user:alice"),
    }
    assert len(nonces) == 5
    assert KEY.nonce(1, "sim:USD", "user:alice") in nonces


def test_claims_of_a_past_moment_are_those_that_were_sealed(books: Books) -> None:
    """What moved since is taken back, and what is held still belongs to the giver."""
    with books.reader.snapshot() as sql:
        ((seq,),) = sql.rows("SELECT max(seq) FROM groups")
        before = claims_at(sql, seq)
    held = Transfer(ALICE.id, BOB.id, "sim:USD", 30, TransferKind.LOCK, phase=Phase.PENDING)
    books.writer.submit(Group("h", (held,))).result()
    books.writer.submit(Group("i", (move(ALICE, BOB, 60), move(ALICE, WORLD, 2, BTC)))).result()
    with books.reader.snapshot() as sql:
        assert claims_at(sql, seq) == before == {"sim:USD": {ALICE.id: 100}, BTC.id: {ALICE.id: 2, BOB.id: 5}}
        assert claims_at(sql, seq + 1) == before
        assert claims_at(sql, seq + 2) == {"sim:USD": {ALICE.id: 40, BOB.id: 60}, BTC.id: {BOB.id: 5}}


def test_the_key_is_made_once_and_kept_from_others(tmp_path: Path) -> None:
    """Mode 0600, the same key at every opening, refused once others may read it."""
    key = SealKey.open(tmp_path)
    path = tmp_path / KEY_FILE
    assert path.stat().st_mode & 0o777 == 0o600
    assert SealKey.open(tmp_path).public == key.public
    assert [file.name for file in tmp_path.iterdir()] == [KEY_FILE]
    path.chmod(0o640)
    with pytest.raises(SealKeyError, match="others may read it"):
        SealKey.open(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{}", b'{"format":"x","nonce_secret":"00","private_key":"00"}'])
def test_a_file_that_is_no_key_is_refused(tmp_path: Path, content: bytes) -> None:
    """Nothing is made in its place: the old key may be on a backup."""
    path = tmp_path / KEY_FILE
    path.touch(0o600)
    path.write_bytes(content)
    with pytest.raises(SealKeyError):
        SealKey.open(tmp_path)
    assert path.read_bytes() == content


def test_a_lost_key_is_not_silently_replaced(books: Books, path: Path) -> None:
    """Once a key has signed, a new one needs its word."""
    books.seal()
    (path.parent / KEY_FILE).unlink()
    with pytest.raises(SealKeyError, match="restore the key"):
        books.seal()


def test_another_key_cannot_seal(books: Books) -> None:
    """A seal by a key that nobody handed over to is refused before it is written."""
    books.seal()
    with pytest.raises(SealError, match="must be signed by"):
        seal_now(books.reader, books.writer, KEY, books.clock)


def test_a_rotation_hands_over_by_a_signed_statement(books: Books) -> None:
    """The old key names the new one; the next seal is the new one's; the chain holds throughout."""
    with pytest.raises(SealError, match="seal the ledger first"):
        books.ring.rotate(books.reader, books.writer, books.clock)
    old = opened_seal(books.seal()).public_key
    new = books.ring.rotate(books.reader, books.writer, books.clock)
    sealed = opened_seal(books.seal())
    assert old != new.public
    assert sealed.public_key == new.public == books.key.public
    with books.reader.snapshot() as sql:
        documents = SealRows(sql).all()
        (rotation,) = SealRows(sql).rotations()
    chain = SealChain()
    assert [type(chain.follow(signed)) for signed in documents] == [
        SealDocument,
        RotationDocument,
        SealDocument,
    ]
    assert rotation == documents[1]


@pytest.mark.parametrize("recorded", [False, True])
def test_a_rotation_that_was_cut_short_is_finished_or_forgotten(
    books: Books, path: Path, recorded: bool
) -> None:
    """The file of the next key is moved into place if the ledger names it, and removed if not."""
    books.seal()
    old = books.key
    new = books.ring.rotate(books.reader, books.writer, books.clock) if recorded else old.successor()
    new.keep(path.parent / (KEY_FILE + ".next"))
    old.keep(path.parent / KEY_FILE)
    assert books.key.public == (new.public if recorded else old.public)
    assert not (path.parent / (KEY_FILE + ".next")).exists()
    books.seal()


def test_two_seals_at_once_leave_one(books: Books) -> None:
    """A seal that was drawn up before another was written does not follow any more, and is not appended."""
    key = books.key
    with books.reader.snapshot() as sql:
        document = draw_up(sql, key, 1)
    late = sign(document, key)
    books.seal()
    with pytest.raises(SealError, match="came in between; seal again"):
        books.writer.perform(lambda draft: seal_office._append(draft.sql, late, document)).result()
    rows = books.writer.perform(lambda draft: SealRows(draft.sql).all()).result()
    assert len(rows) == 1
    chain = SealChain()
    chain.follow(rows[0])
    with pytest.raises(SealError):
        chain.follow(late)


def test_an_empty_ledger_has_nothing_to_seal(path: Path) -> None:
    """There is no head to state."""
    store = SqliteStore.open(path, "test")
    reader = SqliteReader(path)
    with reader.snapshot() as sql, pytest.raises(SealError, match="nothing to seal"):
        draw_up(sql, KEY, 1)
    reader.close()
    store.close()


def test_a_claim_below_zero_is_never_sealed() -> None:
    """A user below zero would hide what others are owed."""
    with pytest.raises(NegativeClaimError):
        tree_of({"user:a": 5, "user:b": -1}, KEY, 1, "sim:USD")


def document(**changes: object) -> SealDocument:
    """A sound seal, changed."""
    sound: dict[str, object] = {
        "number": 1,
        "previous": GENESIS,
        "public_key": KEY.public,
        "at_ms": 5,
        "seq": 3,
        "head": "00" * 32,
        "assets": [],
    }
    return SealDocument(**{**sound, **changes})  # type: ignore[arg-type]  # named as the fields are


@pytest.mark.parametrize(
    ("signed", "problem"),
    [
        (Signed("no json", "00"), "cannot be read"),
        (Signed("{}", "00"), "cannot be read"),
        (sign(document(format="other"), KEY), "not in the form"),
        (sign(document(public_key="11" * 32), KEY), "not that of the key"),
        (sign(document(public_key="no key"), KEY), "not that of the key"),
        (Signed(sign(document(), KEY).document, "00" * 64), "not that of the key"),
        (Signed(sign(document(), KEY).document, "no hex"), "not that of the key"),
        (Signed(sign(document(), KEY).document + " ", sign(document(), KEY).signature), "not in the form"),
    ],
)
def test_a_document_that_is_not_as_signed_is_refused(signed: Signed, problem: str) -> None:
    """Another key, form or signature: one clear sentence."""
    with pytest.raises(SealError, match=problem):
        opened_seal(signed)


def test_one_asset_cannot_have_two_roots_in_a_seal() -> None:
    """Else each half of the users could be shown a total of their own."""
    asset = SealedAsset(id="sim:USD", decimals=2, leaves=1, sum="5", root="00" * 32)
    with pytest.raises(SealError, match="each once"):
        opened_seal(sign(document(assets=[asset, asset]), KEY))
    assert msgspec.json.encode(opened_seal(sign(document(assets=[asset]), KEY)).at_ms) == b"5"


def _crashing_child(path: Path) -> None:
    books = Books(path)
    books.seal()
    books.ring.rotate(books.reader, books.writer, books.clock)
    books.seal()
    os._exit(0)


@pytest.mark.parametrize("point", [*CRASH_POINTS, "seal.signed:2"])
def test_a_crash_leaves_a_chain_that_goes_on(path: Path, point: str) -> None:
    """Killed before a seal is written or in the middle of a hand-over: the right key seals again."""
    program = (
        "import sys; from pathlib import Path; from money.ledger.test_seal import _crashing_child;"
        "_crashing_child(Path(sys.argv[1]))"
    )
    tests = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        env={**os.environ, "MRMARKET_CRASH_AT": point, "PYTHONPATH": tests},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    writer = LedgerWriter(Ledger(SqliteStore.open(path, "heir"), ManualClock()))
    reader, ring = SqliteReader(path), KeyRing(path.parent)
    with reader.snapshot() as sql:
        key = ring.key(sql)
        before = len(SealRows(sql).all())
    seal_now(reader, writer, key, ManualClock())
    ring.rotate(reader, writer, ManualClock())
    with reader.snapshot() as sql:
        assert follow_all(SealRows(sql).all()).number == before + 2
        assert not (path.parent / (KEY_FILE + ".next")).exists()
    reader.close()
    writer.close()
    assert verify_ledger(path).ok
