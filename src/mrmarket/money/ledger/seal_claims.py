"""Who is owed what: the claims that a seal covers.

Every account whose balance the instance owes to somebody has a leaf: users, pools, the owner, reward money
that is not given out yet, payments nobody has claimed. What stands against them, and has none, are the
accounts through which units enter and leave: venues and their fees, rails and their costs, the outside, the
issuers of shares. So in each asset the sum of the claims is minus the balance of those: what must be held.

A person's part in a pool is a claim in the pool's share asset `pool:NAME`; the pool's own leaves, of the
account with that same id, say what all its shares together are owed. Units that a hold sets aside still
belong to the giver and count there until the hold is posted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mrmarket.money.ledger.account import AccountKind
from mrmarket.money.ledger.merkle import Leaf, MerkleSumTree
from mrmarket.money.ledger.seal import SealedAsset
from mrmarket.money.ledger.seal_key import SealKey
from mrmarket.store.sql import Sql

GATES: Final = frozenset(
    {
        AccountKind.VENUE,
        AccountKind.FEES,
        AccountKind.EXTERNAL,
        AccountKind.ISSUER,
        AccountKind.RAIL,
        AccountKind.NETWORK,
    }
)
"""Kinds of accounts through which units enter and leave the books."""

Claims = dict[str, dict[str, int]]
"""Units by asset id and account id; zeros left out."""


def claims_at(sql: Sql, seq: int) -> Claims:
    """What was owed after a group: today's balances less what has moved since."""
    gates = {row[0] for row in sql.rows("SELECT id, kind FROM accounts") if row[1] in GATES}
    units: dict[tuple[str, str], int] = {
        (asset, account): int(text)
        for account, asset, text in sql.rows("SELECT account, asset, units FROM balances")
        if account not in gates
    }
    for debit, credit, asset, text in sql.rows(
        "SELECT debit, credit, asset, units FROM transfers"
        " WHERE group_seq > ? AND (phase IS NULL OR phase = 'post')",
        seq,
    ):
        if debit not in gates:
            units[asset, debit] = units.get((asset, debit), 0) + int(text)
        if credit not in gates:
            units[asset, credit] = units.get((asset, credit), 0) - int(text)
    claims: Claims = {}
    for (asset, account), amount in sorted(units.items()):
        if amount:
            claims.setdefault(asset, {})[account] = amount
    return claims


def tree_of(claims: Mapping[str, int], key: SealKey, number: int, asset: str) -> MerkleSumTree:
    """The tree of one asset in one seal.

    Raises:
        NegativeClaimError: if somebody's claim is below zero.
    """
    return MerkleSumTree(
        Leaf(account, key.nonce(number, asset, account), units) for account, units in claims.items()
    )


def sealed_assets(sql: Sql, claims: Claims, key: SealKey, number: int) -> list[SealedAsset]:
    """What a seal says of every asset.

    Raises:
        NegativeClaimError: if somebody's claim is below zero.
    """
    decimals = dict(sql.rows("SELECT id, decimals FROM assets"))
    sealed = []
    for asset, units in sorted(claims.items()):
        tree = tree_of(units, key, number, asset)
        sealed.append(
            SealedAsset(
                id=asset,
                decimals=decimals[asset],
                leaves=len(tree),
                sum=str(tree.root.sum),
                root=tree.root.hash.hex(),
            )
        )
    return sealed
