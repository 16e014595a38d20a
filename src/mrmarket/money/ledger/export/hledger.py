"""The books as an hledger journal, with an assertion of every closing balance.

Signs are those of `beancount`: what is owed is negative. Account ids keep their spelling under
`liabilities`, `assets` and `equity`; commodities are asset ids in quotes.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import IO, Final

from mrmarket.money.ledger.account import AccountKind
from mrmarket.money.ledger.export.books import ExportedBooks

_ROOTS: Final = {
    AccountKind.VENUE: "assets",
    AccountKind.FEES: "assets",
    AccountKind.EXTERNAL: "assets",
    AccountKind.RAIL: "assets",
    AccountKind.NETWORK: "assets",
    AccountKind.ISSUER: "equity",
}
_TYPES: Final = {"assets": "A", "liabilities": "L", "equity": "E"}


def write_hledger(books: ExportedBooks, out: IO[str]) -> None:
    """Write directives for every account and commodity, every posted group, and every closing balance."""
    roots = {account: _ROOTS.get(AccountKind(kind), "liabilities") for account, kind in books.kinds.items()}
    out.write("; Mr. Market\ndecimal-mark .\n\n")
    for asset, decimals in books.decimals.items():
        sample = f"1000.{'0' * decimals}"  # hledger wants the mark even where there are no decimals
        out.write(f"commodity {sample} {_commodity(asset)}\n")
    for account, root in roots.items():
        out.write(f"account {root}:{account}  ; type: {_TYPES[root]}\n")
    last = "1970-01-01"
    for entry in books.entries():
        moved = [line for line in entry.lines if line.moves]
        if not moved:
            continue
        day = datetime.fromtimestamp(entry.at_ms / 1_000, UTC).date().isoformat()
        last = max(last, day)
        kinds = " ".join(dict.fromkeys(line.kind for line in moved))
        out.write(f"\n{day} * ({entry.seq}) {_one_line(entry.key)}  ; kind: {kinds}, hash: {entry.hash}\n")
        if entry.memo:
            out.write(f"    ; memo: {_one_line(entry.memo)}\n")
        for line in moved:
            commodity = _commodity(line.asset)
            out.write(f"    {roots[line.debit]}:{line.debit}  {line.amount} {commodity}\n")
            out.write(f"    {roots[line.credit]}:{line.credit}  -{line.amount} {commodity}\n")
    closing = books.closing()
    if closing:
        out.write(f"\n{last} * closing balances\n")
    for account, asset, amount, _ in closing:
        commodity = _commodity(asset)
        held = amount[1:] if amount.startswith("-") else f"-{amount}" if amount != "0" else "0"
        out.write(f"    {roots[account]}:{account}  0 {commodity} = {held} {commodity}\n")


def _commodity(asset: str) -> str:
    return '"' + asset.replace('"', "'").replace(";", ",") + '"'


def _one_line(text: str) -> str:
    # A semicolon would begin a comment, a bar would split payee and note.
    return " ".join(text.replace(";", ",").replace("|", "/").split())
