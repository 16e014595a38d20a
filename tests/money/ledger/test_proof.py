"""A user's proof holds by itself, and nothing in it can be changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from money.ledger_samples import ALICE, BOB, BTC, WORLD, ask, deposit, move, opened
from mrmarket.core.clock import ManualClock
from mrmarket.core.money import Asset
from mrmarket.money.ledger.account import Account, AccountKind
from mrmarket.money.ledger.group import Group, Transfer, TransferKind
from mrmarket.money.ledger.proof import ProofBook, ProofError, ProofFile, check_proof, read_proof
from mrmarket.money.ledger.seal import SealDocument, SealError, Signed, sign
from mrmarket.money.ledger.seal import opened as opened_seal
from mrmarket.money.ledger.seal_key import SealKey
from mrmarket.money.ledger.seal_office import KeyRing, seal_now
from mrmarket.money.ledger.seal_rows import SealRows
from mrmarket.money.ledger.sqlite_store import SqliteStore
from mrmarket.money.ledger.writer import LedgerWriter
from mrmarket.store.sql import SqliteReader

SHARE = Asset("pool", "main", 18)
ISSUER = Account.of(AccountKind.ISSUER, "main")
POOL = Account.of(AccountKind.POOL, "main")


class Books:
    """A pool with two holders, and somebody with a balance of her own."""

    def __init__(self, path: Path) -> None:
        ledger = opened(SqliteStore.open(path, "test"))
        ask(ledger, Group("pool", assets=(SHARE,), accounts=(ISSUER, POOL)))
        ask(ledger, deposit("a", 10_000))
        mint = [
            Transfer(ISSUER.id, user.id, SHARE.id, units, TransferKind.MINT_SHARES)
            for user, units in ((ALICE, 60), (BOB, 40))
        ]
        lock = Transfer(ALICE.id, POOL.id, "sim:USD", 9_000, TransferKind.LOCK)
        ask(ledger, Group("b", (lock, *mint, move(WORLD, BOB, 7, BTC))))
        self.writer = LedgerWriter(ledger)
        self.reader = SqliteReader(path)
        self.ring = KeyRing(path.parent)

    @property
    def key(self) -> SealKey:
        """The key that must sign."""
        with self.reader.snapshot() as sql:
            return self.ring.key(sql)

    def seal(self) -> Signed:
        """Seal the books."""
        return seal_now(self.reader, self.writer, self.key, ManualClock())

    def book(self, number: int | None = None) -> ProofBook:
        """Proofs from a seal."""
        key = self.key
        with self.reader.snapshot() as sql:
            return ProofBook.of(sql, key, number)


@pytest.fixture
def books(path: Path) -> Iterator[Books]:
    """Sealed books."""
    books = Books(path)
    books.seal()
    yield books
    books.reader.close()
    books.writer.close()


def test_a_proof_shows_what_a_user_owns_and_what_the_pool_behind_it_holds(books: Books) -> None:
    """Her balance, her shares of all shares, and the pool's own leaf, each against the sealed total."""
    proof = books.book().proof(ALICE.id)
    result = check_proof(read_proof(msgspec.json.encode(proof)), books.key.public)
    assert [(claim.asset, claim.amount, claim.total) for claim in result.claims] == [
        ("pool:main", "0.00000000000000006", "0.0000000000000001"),
        ("sim:USD", "10", "100"),
    ]
    assert [(claim.account, claim.asset, claim.amount) for claim in result.pools] == [
        (POOL.id, "sim:USD", "90")
    ]
    assert (result.seal, result.seq, result.public_key) == (1, 4, books.key.public)


def test_one_asset_can_be_proved_alone(books: Books) -> None:
    """A user need not show what else is theirs."""
    proof = books.book().proof(BOB.id, BTC.id)
    assert [(claim.asset, claim.units) for claim in proof.claims] == [(BTC.id, "7")]
    assert proof.pools == []
    assert check_proof(proof).account == BOB.id


def test_a_pool_proves_its_own_leaf(books: Books) -> None:
    """The share asset and the pool's account have the same id; neither stands for the other."""
    proof = books.book().proof(POOL.id)
    assert [(claim.account, claim.asset) for claim in proof.claims] == [(POOL.id, "sim:USD")]
    assert proof.pools == []


def test_a_proof_is_of_the_moment_of_its_seal(books: Books) -> None:
    """What moved later is in the next seal; the old one can still be proved."""
    books.writer.submit(Group("later", (move(ALICE, BOB, 400),))).result()
    assert {claim.asset: claim.units for claim in books.book().proof(ALICE.id).claims}["sim:USD"] == "1000"
    books.seal()
    assert {claim.asset: claim.units for claim in books.book().proof(ALICE.id).claims}["sim:USD"] == "600"
    assert {claim.asset: claim.units for claim in books.book(1).proof(ALICE.id).claims}["sim:USD"] == "1000"


def test_a_key_that_was_trusted_before_a_rotation_leads_to_todays(books: Books) -> None:
    """The hand-over in the proof is enough; a key that never signed is not."""
    old = books.key.public
    books.ring.rotate(books.reader, books.writer, ManualClock())
    books.seal()
    proof = books.book().proof(ALICE.id)
    assert check_proof(proof, old).public_key == books.key.public != old
    with pytest.raises(ProofError, match="not by the key that you trust"):
        check_proof(replace(proof, rotations=[]), old)
    with pytest.raises(ProofError, match="not by the key that you trust"):
        check_proof(proof, SealKey.generate().public)


def every_change(value: Any, path: tuple[object, ...] = ()) -> Iterator[tuple[tuple[object, ...], Any]]:
    """Each text of a JSON document, changed; each list, one element short."""
    if isinstance(value, dict):
        for name, part in value.items():
            for at, changed in every_change(part, (*path, name)):
                yield at, {**value, name: changed}
    elif isinstance(value, list):
        for place, part in enumerate(value):
            yield (*path, place, "gone"), value[:place] + value[place + 1 :]
            for at, changed in every_change(part, (*path, place)):
                yield at, [*value[:place], changed, *value[place + 1 :]]
    elif isinstance(value, str):
        middle = len(value) // 2
        other = "1" if value[middle : middle + 1] != "1" else "2"
        yield path, value[:middle] + other + value[middle + 1 :]


def test_whatever_is_changed_in_a_proof_is_found(books: Books) -> None:
    """Every text altered and every element left out: one clear sentence, no exception of another kind."""
    proof = msgspec.json.decode(msgspec.json.encode(books.book().proof(ALICE.id)))
    changes = list(every_change(proof))
    assert len(changes) > 20
    for at, changed in changes:
        gone = at in {("claims", 0, "gone"), ("claims", 1, "gone"), ("pools", 0, "gone")}
        if gone and at != ("claims", 0, "gone"):
            check_proof(read_proof(msgspec.json.encode(changed)))  # claims less is a smaller proof, and sound
            continue
        with pytest.raises(ProofError) as caught:
            check_proof(read_proof(msgspec.json.encode(changed)), books.key.public)
        assert "\n" not in str(caught.value), at


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"claims": []}, "claims nothing"),
        ({"account": "user:bob"}, "another account"),
        ({"format": "mrmarket proof v2"}, "has format"),
    ],
)
def test_a_proof_speaks_of_its_own_account(books: Books, changes: dict[str, Any], problem: str) -> None:
    """Somebody else's leaf proves nothing of yours."""
    with pytest.raises(ProofError, match=problem):
        check_proof(replace(books.book().proof(ALICE.id), **changes))


def test_a_pool_without_shares_is_not_shown(books: Books) -> None:
    """A pool's leaf is of use to its holders alone."""
    book = books.book()
    pool = book.proof(ALICE.id).pools
    with pytest.raises(ProofError, match="does not claim"):
        check_proof(replace(book.proof(BOB.id, BTC.id), pools=pool))


def test_a_proof_fits_the_seal_that_was_published(books: Books) -> None:
    """An instance that signs two seals for one moment is found by comparing."""
    proof = books.book().proof(ALICE.id)
    assert check_proof(proof, seal=proof.seal).seal == 1
    document = opened_seal(proof.seal)
    assert isinstance(document, SealDocument)
    other = sign(replace(document, at_ms=document.at_ms + 1), books.key)
    with pytest.raises(ProofError, match="not the seal that you gave"):
        check_proof(proof, seal=other)


def test_a_hidden_claim_shows_in_the_sums(books: Books) -> None:
    """A seal by the true key over a smaller total does not fit the sums on the way."""
    proof = books.book().proof(ALICE.id, "sim:USD")
    document = opened_seal(proof.seal)
    assert isinstance(document, SealDocument)
    smaller = [replace(asset, sum=str(int(asset.sum) - 1)) for asset in document.assets]
    lying = sign(replace(document, assets=smaller), books.key)
    with pytest.raises(ProofError, match="not the total"):
        check_proof(replace(proof, seal=lying))


def test_what_cannot_be_proved_is_said(books: Books) -> None:
    """Nobody, nothing, no seal, a rotation, no file."""
    book = books.book()
    with pytest.raises(ProofError, match="user:eve was owed nothing"):
        book.proof("user:eve")
    with pytest.raises(ProofError, match="no sim:BTC"):
        book.proof(ALICE.id, BTC.id)
    with pytest.raises(ProofError, match="no such seal"):
        books.book(9)
    books.ring.rotate(books.reader, books.writer, ManualClock())
    with pytest.raises(SealError, match="proves no claims"):
        books.book(2)
    with pytest.raises(ProofError, match="is no proof"):
        read_proof(b"{}")
    with books.reader.snapshot() as sql:
        (rotation,) = SealRows(sql).rotations()
    with pytest.raises(ProofError, match="key rotation"):
        check_proof(replace(book.proof(ALICE.id), seal=rotation))


def test_books_that_changed_behind_a_seal_prove_nothing(books: Books) -> None:
    """If today's balances do not lead back to the sealed roots, no proof is given."""
    books.writer.perform(
        lambda draft: draft.sql.run("UPDATE balances SET units = '999' WHERE account = ?", ALICE.id)
    ).result()
    with pytest.raises(SealError, match="verify the ledger"):
        books.book()


def test_a_proof_file_is_plain_json(books: Books) -> None:
    """Numbers that matter are text, so that any JSON reader keeps them exact."""
    proof: ProofFile = books.book().proof(ALICE.id)
    plain = msgspec.json.decode(msgspec.json.encode(proof))
    assert set(plain) == {"format", "account", "seal", "rotations", "claims", "pools"}
    assert all(isinstance(step["sum"], str) for claim in plain["claims"] for step in claim["path"])
