"""The books as a beancount file, with an assertion of every closing balance.

What the instance owes stands under `Liabilities`, where what it owes is negative; the accounts through
which units come and go stand under `Assets`, where what came in is positive; the issuers of shares under
`Equity`. So every amount here is minus the amount of our own entry, and the whole is a balance sheet.

Names keep to beancount's alphabet, and different ids have different names. In account names every character
but letters and digits is written as `-XX` in hexadecimal; a small letter at the beginning becomes a capital,
and a capital there gets `0-` in front. Commodities are asset ids in capitals with a point for the colon, such
as `SIMULATED.USDT`; where that would not be one asset's alone, the number of the asset, such as `A3`, is in
front or, where the name is too long, in its place. The ids themselves stand in the metadata.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import IO, Final

from mrmarket.money.ledger.account import AccountKind
from mrmarket.money.ledger.export.books import Entry, ExportedBooks

_OPENED: Final = "1970-01-01"
_LONGEST: Final = 24
_EQUITY: Final = {AccountKind.ISSUER}
_ASSETS: Final = {
    AccountKind.VENUE,
    AccountKind.FEES,
    AccountKind.EXTERNAL,
    AccountKind.RAIL,
    AccountKind.NETWORK,
}


def write_beancount(books: ExportedBooks, out: IO[str]) -> None:
    """Write directives for every account and commodity, every posted group, and every closing balance."""
    accounts = {account: account_name(account, kind) for account, kind in books.kinds.items()}
    commodities = commodity_names(books.decimals)
    out.write('option "title" "Mr. Market"\n')
    out.write('plugin "beancount.plugins.check_commodity"\n\n')
    for asset, name in commodities.items():
        out.write(f"{_OPENED} commodity {name}\n  asset: {_quoted(asset)}\n")
    for account, name in accounts.items():
        out.write(f"{_OPENED} open {name}\n  account: {_quoted(account)}\n")
    last = date(1970, 1, 1)
    for entry in books.entries():
        day = datetime.fromtimestamp(entry.at_ms / 1_000, UTC).date()
        last = max(last, day)
        _write_entry(out, entry, day, accounts, commodities)
    day_after = last + timedelta(days=1)
    out.write("\n")
    for account, asset, amount, _ in books.closing():
        out.write(f"{day_after} balance {accounts[account]}  {_minus(amount)} {commodities[asset]}\n")


def account_name(account: str, kind: str) -> str:
    """An account id in beancount's alphabet; different ids have different names."""
    root = "Equity" if kind in _EQUITY else "Assets" if kind in _ASSETS else "Liabilities"
    prefix, _, name = account.partition(":")
    return f"{root}:{_component(prefix)}:{_component(name)}"


def commodity_names(assets: Mapping[str, int]) -> dict[str, str]:
    """Asset ids in beancount's alphabet; different ids have different names."""
    names: dict[str, str] = {}
    for number, asset in enumerate(assets, start=1):
        name = "".join(
            character if "A" <= character <= "Z" or "0" <= character <= "9" else _symbol(character)
            for character in asset.upper()
        )
        if asset != asset.lower().partition(":")[0] + ":" + asset.upper().partition(":")[2]:
            name = f"A{number}.{name}"  # letters of both cases would fall together
        if (
            not "A" <= name[0] <= "Z"
            or len(name) > _LONGEST
            or not name[-1].isalnum()
            or name in names.values()
        ):
            name = f"A{number}"
        names[asset] = name
    return names


def _symbol(character: str) -> str:
    return "." if character == ":" else "-" if character == "-" else "_"


def _component(name: str) -> str:
    first = name[0]
    body = "".join(
        character if character.isascii() and character.isalnum() else f"-{ord(character):02X}"
        for character in name
    )
    if "a" <= first <= "z":
        return first.upper() + body[1:]
    return body if first.isdigit() else f"0-{body}"


def _write_entry(
    out: IO[str], entry: Entry, day: date, accounts: Mapping[str, str], commodities: Mapping[str, str]
) -> None:
    moved = [line for line in entry.lines if line.moves]
    if not moved:
        return
    kinds = " ".join(dict.fromkeys(line.kind for line in moved))
    out.write(f"\n{day} * {_quoted(kinds)} {_quoted(entry.key)}\n")
    out.write(f"  seq: {entry.seq}\n  at_ms: {entry.at_ms}\n  hash: {_quoted(entry.hash)}\n")
    if entry.memo:
        out.write(f"  memo: {_quoted(entry.memo)}\n")
    for line in moved:
        commodity = commodities[line.asset]
        out.write(f"  {accounts[line.debit]}  {line.amount} {commodity}\n")
        out.write(f"  {accounts[line.credit]}  -{line.amount} {commodity}\n")


def _minus(amount: str) -> str:
    return amount[1:] if amount.startswith("-") else f"-{amount}" if amount != "0" else "0"


def _quoted(text: str) -> str:
    body = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{body}"'
