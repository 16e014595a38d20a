"""`mrmarket vault accept`."""

from __future__ import annotations

import asyncio
import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Annotated

import typer

from mrmarket.cli.options import DEFAULT_DATA, ConfigFile, Data, Json
from mrmarket.cli.output import notes, print_json
from mrmarket.core.errors import InvalidInputError

if TYPE_CHECKING:
    from mrmarket.partners.chains.watch import Record
    from mrmarket.services.partners.setting import PartnerSetting


def accept(
    chain: Annotated[str, typer.Argument(help="Name of the halted chain.", metavar="CHAIN")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: ConfigFile = None,
    data: Data = DEFAULT_DATA,
    json: Json = False,
) -> None:
    """Go on after a reorganisation that took final blocks away: what was paid in them is gone.

    Until somebody says this, the chain is halted and its vault pays nothing. Rewards that are gone are taken
    back; what users were given of them, the owner's reserve pays. Payments of the vault in those blocks are
    looked at again. Works beside a running instance and without one.
    """
    from mrmarket.cli.partner_doors import setting_at

    setting = setting_at(data, config)
    halted = _halted(setting, chain)
    if not yes:
        if not sys.stdin.isatty():
            raise InvalidInputError("--yes", "left out", "--yes where nobody can be asked")
        notes.print(halted, soft_wrap=True)
        typer.confirm(f"Accept that, and go on with {chain}?", abort=True, err=True)
    with redirect_stdout(sys.stderr):  # where logs of this process belong: stdout is for the answer
        gone = asyncio.run(_accept(setting, chain))
    if json:
        print_json({"chain": chain, "gone": [record.transfer.key.tx_hash for record in gone]})
    else:
        what = "1 transfer is" if len(gone) == 1 else f"{len(gone)} transfers are"
        notes.print(f"{chain} goes on; {what} gone.")


def _halted(setting: PartnerSetting, name: str) -> str:
    """Why a chain stands still. Raises InvalidInputError for one that does not."""
    from mrmarket.partners.chains.observations import Observations
    from mrmarket.services.partners.opening import CHAINS_FILE, open_chains

    ids = {chain.name: chain.chain_id for chain in setting.partners.chains}
    if name not in ids:
        raise InvalidInputError("CHAIN", name, f"one of {', '.join(ids) or 'none: no chain is configured'}")
    halted = ""
    if (setting.folder / CHAINS_FILE).is_file():
        book = open_chains(setting)
        try:
            halted = Observations(book).halted(ids[name])
        finally:
            book.close()
    if not halted:
        raise InvalidInputError("CHAIN", name, "a chain that is halted; this one is not")
    return halted


async def _accept(setting: PartnerSetting, name: str) -> list[Record]:
    from mrmarket.partners.chains.observations import Observations
    from mrmarket.partners.chains.watcher import Watcher
    from mrmarket.services.partners.opening import open_chains, open_node

    chain = next(one for one in setting.partners.chains if one.name == name)
    book, node = open_chains(setting), open_node(chain)
    try:
        return await Watcher(chain, node, Observations(book), [], setting.wall).accept("owner")
    finally:
        await node.close()
        book.close()
