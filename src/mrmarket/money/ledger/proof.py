"""A user's proof: that the amounts owed to them are in the sums that a signed seal states.

The file holds everything that checking needs but the public key that the checker trusts:
the seal, every hand-over between keys, and for each claim the leaf with its nonce and the way to the root.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from mrmarket.core.decimals import format_units
from mrmarket.money.ledger.errors import LedgerError
from mrmarket.money.ledger.merkle import Leaf, MerkleSumTree, NegativeClaimError, Step, climb
from mrmarket.money.ledger.seal import (
    RotationDocument,
    SealDocument,
    SealedAsset,
    SealError,
    Signed,
    opened,
)
from mrmarket.money.ledger.seal_claims import Claims, claims_at, tree_of
from mrmarket.money.ledger.seal_key import SealKey
from mrmarket.money.ledger.seal_rows import SealRows
from mrmarket.store.sql import Sql

PROOF_FORMAT: Final = "mrmarket proof v1"


class ProofError(LedgerError):
    """A proof does not hold, or cannot be given."""

    code = "proof_refused"

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(problem)


class Claim(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One leaf and its way to the root."""

    account: str
    asset: str
    units: str
    nonce: str
    """Hexadecimal, 32 bytes."""
    path: list[Step]
    """From the leaf up."""


class ProofFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a user keeps."""

    format: str = PROOF_FORMAT
    account: str
    seal: Signed
    rotations: list[Signed]
    """Hand-overs between keys, oldest first, so that an older key that you trust leads to today's."""
    claims: list[Claim]
    """The account's own, by asset."""
    pools: list[Claim]
    """Leaves of the pools whose shares the account holds: what all shares together are owed."""


class ProvedClaim(msgspec.Struct, frozen=True, kw_only=True):
    """A claim that was found to hold."""

    account: str
    asset: str
    units: str
    amount: str
    """In whole units of the asset."""
    total: str
    """What everybody is owed in this asset, in whole units."""


class ProofResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a proof shows."""

    account: str
    seal: int
    at_ms: int
    seq: int
    head: str
    public_key: str
    claims: list[ProvedClaim]
    pools: list[ProvedClaim]


class ProofBook:
    """Proofs from one seal. Building it hashes every claim; after that each proof is quick."""

    def __init__(self, signed: Signed, rotations: list[Signed], claims: Claims, key: SealKey) -> None:
        """Rebuild the trees of a seal.

        Raises:
            SealError: if the trees do not come out as they were sealed.
        """
        document = opened(signed)
        if not isinstance(document, SealDocument):
            raise SealError(document.number, "a key rotation proves no claims; name a seal")
        self.document = document
        self._signed = signed
        self._rotations = rotations
        self._trees = {asset: tree_of(units, key, document.number, asset) for asset, units in claims.items()}
        self._holdings: dict[str, list[str]] = {}
        for asset, units in claims.items():
            for account in units:
                self._holdings.setdefault(account, []).append(asset)
        sealed = {asset.id: (asset.sum, asset.root) for asset in document.assets}
        found = {asset: (str(tree.root.sum), tree.root.hash.hex()) for asset, tree in self._trees.items()}
        if sealed != found:
            raise SealError(document.number, "today's books do not lead to its roots; verify the ledger")

    @classmethod
    def of(cls, sql: Sql, key: SealKey, number: int | None = None) -> ProofBook:
        """The book of a seal, the newest unless one is named.

        Raises:
            ProofError: if there is no such seal.
            SealError: if the books do not lead to the sealed roots.
        """
        rows = SealRows(sql)
        signed = rows.last_seal() if number is None else rows.find(number)
        if signed is None:
            raise ProofError("there is no such seal; make one with: mrmarket ledger seal")
        document = opened(signed)
        seq = document.seq if isinstance(document, SealDocument) else 0
        return cls(signed, rows.rotations(), claims_at(sql, seq), key)

    def proof(self, account: str, asset: str | None = None) -> ProofFile:
        """The proof of an account's claims: all of them, or one asset's.

        Raises:
            ProofError: if the seal holds no such claim.
        """
        held = [held for held in self._holdings.get(account, ()) if asset in {None, held}]
        if not held:
            what = "nothing" if asset is None else f"no {asset}"
            raise ProofError(f"{account} was owed {what} when seal {self.document.number} was made")
        pools = [
            self._claim(share, backing)
            for share in held
            if share != account
            for backing in self._holdings.get(share, ())
        ]
        return ProofFile(
            account=account,
            seal=self._signed,
            rotations=self._rotations,
            claims=[self._claim(account, asset) for asset in held],
            pools=pools,
        )

    def _claim(self, account: str, asset: str) -> Claim:
        tree = self._trees[asset]
        leaf = _leaf(tree, account)
        return Claim(
            account=account,
            asset=asset,
            units=str(leaf.units),
            nonce=leaf.nonce.hex(),
            path=tree.path(account),
        )


def check_proof(proof: ProofFile, public_key: str | None = None, seal: Signed | None = None) -> ProofResult:
    """Check a proof from nothing but itself and the key or the published seal that the checker trusts.

    With neither, what holds is that the proof fits the key which its own seal names.

    Raises:
        ProofError: with the first thing that does not hold, in one sentence.
    """
    if proof.format != PROOF_FORMAT:
        raise ProofError(f"the proof has format {proof.format!r}, this program reads {PROOF_FORMAT!r}")
    try:
        document = opened(proof.seal)
        if not isinstance(document, SealDocument):
            raise ProofError("the proof carries a key rotation where its seal should be")
        if seal is not None and seal.document != proof.seal.document:
            raise ProofError("the proof's seal is not the seal that you gave")
        _check_key(document, proof.rotations, public_key)
    except SealError as error:
        raise ProofError(str(error)) from error
    assets = {asset.id: asset for asset in document.assets}
    _check_owners(proof)
    return ProofResult(
        account=proof.account,
        seal=document.number,
        at_ms=document.at_ms,
        seq=document.seq,
        head=document.head,
        public_key=document.public_key,
        claims=_check_claims(proof.claims, assets),
        pools=_check_claims(proof.pools, assets),
    )


def read_proof(content: bytes) -> ProofFile:
    """A proof from its file.

    Raises:
        ProofError: if it is none.
    """
    try:
        return msgspec.json.decode(content, type=ProofFile)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProofError(f"the file is no proof ({error})") from error


def _check_key(document: SealDocument, rotations: Iterable[Signed], trusted: str | None) -> None:
    """Find the way from the key that is trusted to the one that signed."""
    key = trusted
    for signed in rotations:
        handover = opened(signed)
        if isinstance(handover, RotationDocument) and handover.public_key == key != document.public_key:
            key = handover.new_public_key
    if key not in {None, document.public_key}:
        raise ProofError(f"the seal is signed by {document.public_key}, not by the key that you trust")


def _check_owners(proof: ProofFile) -> None:
    if not proof.claims:
        raise ProofError("the proof claims nothing")
    if any(claim.account != proof.account for claim in proof.claims):
        raise ProofError("a claim belongs to another account than the proof")
    shares = {claim.asset for claim in proof.claims}
    if any(claim.account not in shares for claim in proof.pools):
        raise ProofError("the proof shows a pool whose shares it does not claim")


def _check_claims(claims: list[Claim], assets: Mapping[str, SealedAsset]) -> list[ProvedClaim]:
    proved: list[ProvedClaim] = []
    for claim in claims:
        name = f"{claim.account} in {claim.asset}"
        sealed = assets.get(claim.asset)
        if sealed is None:
            raise ProofError(f"the seal knows no claims in {claim.asset}")
        try:
            units = int(claim.units)
            root = climb(Leaf(claim.account, bytes.fromhex(claim.nonce), units), claim.path)
        except (ValueError, NegativeClaimError) as error:
            raise ProofError(f"the claim of {name} is not written as a claim: {error}") from error
        if claim.units != str(units) or root.hash.hex() != sealed.root:
            raise ProofError(f"the claim of {name} does not lead to the root that the seal states")
        if str(root.sum) != sealed.sum:
            raise ProofError(f"the sums on the way of {name} are not the total that the seal states")
        proved.append(
            ProvedClaim(
                account=claim.account,
                asset=claim.asset,
                units=claim.units,
                amount=format_units(units, sealed.decimals),
                total=format_units(root.sum, sealed.decimals),
            )
        )
    return proved


def _leaf(tree: MerkleSumTree, account: str) -> Leaf:
    leaf = tree.leaf(account)
    if leaf is None:
        raise LookupError(account)
    return leaf
