"""Making seals, and handing over from one key to the next.

The trees are built from a snapshot beside the writer; the writer's own part is to look whether the seal
still follows the last one and to append it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.core.crash import reach
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.seal import RotationDocument, SealDocument, SealError, Signed, opened, sign
from mrmarket.money.ledger.seal_claims import claims_at, sealed_assets
from mrmarket.money.ledger.seal_key import KEY_FILE, SealKey, SealKeyError
from mrmarket.money.ledger.seal_rows import SealRows
from mrmarket.money.ledger.writer import LedgerWriter
from mrmarket.store.sql import Sql, SqlReader

CRASH_POINTS: Final = ("seal.signed", "rotation.key_kept", "rotation.recorded")
"""`seal.signed`: the document exists in memory alone. `rotation.key_kept`: the new key is on the disk beside
the old one, which still signs. `rotation.recorded`: the new key is the one that must sign, and its file has
not been moved into place."""

_NEXT: Final = ".next"


def seal_now(reader: SqlReader, writer: LedgerWriter, key: SealKey, clock: Clock) -> Signed:
    """Seal the ledger as it stands. Takes as long as hashing every claim; the writer waits for an insert.

    Raises:
        SealError: if the ledger is empty, another seal came in between, or the key is not the one that must
            sign.
        NegativeClaimError: if somebody's claim is below zero.
    """
    with reader.snapshot() as sql:
        document = draw_up(sql, key, clock.now_ns() // NS_PER_MS)
    signed = sign(document, key)
    reach("seal.signed")

    def append(draft: Draft) -> None:
        _append(draft.sql, signed, document)

    writer.perform(append).result()
    return signed


def draw_up(sql: Sql, key: SealKey, at_ms: int) -> SealDocument:
    """The next seal's document, from one snapshot."""
    rows = SealRows(sql)
    number, previous, signer = rows.next()
    if signer not in {None, key.public}:
        raise SealError(number, f"must be signed by {signer}; restore that key's file ({KEY_FILE})")
    head = sql.rows("SELECT seq, hash FROM groups ORDER BY seq DESC LIMIT 1")
    if not head:
        raise SealError(number, "the ledger is empty; there is nothing to seal yet")
    seq, digest = head[0]
    return SealDocument(
        number=number,
        previous=previous,
        public_key=key.public,
        at_ms=at_ms,
        seq=seq,
        head=bytes(digest).hex(),
        assets=sealed_assets(sql, claims_at(sql, seq), key, number),
    )


class KeyRing:
    """The signing key of a data folder, through hand-overs and crashes in the middle of one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / KEY_FILE
        self._next = folder / (KEY_FILE + _NEXT)

    def key(self, sql: Sql) -> SealKey:
        """The key that must sign next; a hand-over that was cut short is finished or forgotten.

        Raises:
            SealKeyError: if the key that must sign is not here.
        """
        _, _, signer = SealRows(sql).next()
        if self._next.exists():
            if SealKey.read(self._next).public == signer:
                self._next.replace(self._path)
            else:
                self._next.unlink()
        if signer is not None and not self._path.exists():
            raise SealKeyError(self._path, f"is missing; restore the key {signer} from your backup")
        return SealKey.open(self._folder)

    def rotate(self, reader: SqlReader, writer: LedgerWriter, clock: Clock) -> SealKey:
        """Hand over to a new key by a statement that the old one signs.

        Raises:
            SealError: if there is no seal yet; the first key needs no successor before it has signed.
        """
        with reader.snapshot() as sql:
            old = self.key(sql)
            number, previous, signer = SealRows(sql).next()
        if signer != old.public:
            raise SealError(number, "there is no seal by this key to hand over from; seal the ledger first")
        new = old.successor()
        document = RotationDocument(
            number=number,
            previous=previous,
            public_key=old.public,
            new_public_key=new.public,
            at_ms=clock.now_ns() // NS_PER_MS,
        )
        signed = sign(document, old)
        new.keep(self._next)
        reach("rotation.key_kept")

        def append(draft: Draft) -> None:
            _append(draft.sql, signed, document)

        writer.perform(append).result()
        reach("rotation.recorded")
        self._next.replace(self._path)
        return new


def _append(sql: Sql, signed: Signed, document: SealDocument | RotationDocument) -> None:
    rows = SealRows(sql)
    last = rows.last()
    number, previous, _ = rows.next()
    if (document.number, document.previous) != (number, previous):
        seen = opened(last).number if last else 0
        raise SealError(document.number, f"seal {seen} came in between; seal again")
    rows.append(signed, document)
