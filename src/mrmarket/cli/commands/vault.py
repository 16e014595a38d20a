"""`mrmarket vault status|sweep|new-key`."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mrmarket.cli.books import open_books
from mrmarket.cli.commands import vault_accept
from mrmarket.cli.exit_codes import ExitCode
from mrmarket.cli.options import DEFAULT_DATA, IN_FOLDER, ConfigFile, Data, Json, Store
from mrmarket.cli.output import notes, print_json, print_pairs, print_table

if TYPE_CHECKING:
    from mrmarket.partners.chains.book import ChainBook
    from mrmarket.partners.chains.settings import ChainSettings, VaultSettings
    from mrmarket.services.api.partner_schema import ChainView, SweepsView, VaultView
    from mrmarket.services.partners.setting import PartnerSetting
    from mrmarket.services.partners.sights import Sights
    from mrmarket.services.partners.sweep_trial import SweepTrial

_KEY_BYTES = 32
_SHOWN = 5
"""Transfers in the table; --json has more, with their keys."""
_VARIABLE = "MRMARKET_VAULT_PASSWORD"

app = typer.Typer(help="The account that campaigns pay, and moving rewards on from it.", no_args_is_help=True)
app.command("accept", epilog="Example: mrmarket vault accept polygon --data data")(vault_accept.accept)


@app.command(epilog="Example: mrmarket vault status --config market.toml --json")
def status(
    *, config: ConfigFile = None, data: Data = DEFAULT_DATA, store: Store = IN_FOLDER, json: Json = False
) -> int:
    """Show the vault on each chain: gas, tokens, limits, nonce, transfers; how far each chain is read.

    The nodes are asked at this moment; one that is silent is shown with the reason. Exit status 1 if one is,
    or if a chain is halted.
    """
    from mrmarket.cli.partner_doors import setting_at

    setting = setting_at(data, config)
    waiting = _sweeps(data, store)
    chains, vaults = _asked(setting, waiting)
    problems = [each.problem or each.halted for each in chains]
    problems += [each.problem for each in vaults]
    is_well = not any(problems)
    if json:
        print_json({"ok": is_well, "chains": chains, "vaults": vaults, "sweeps": waiting})
    else:
        _print_chains(chains)
        for vault in vaults:
            _print_vault(vault)
        _print_under_way(waiting)
    return ExitCode.OK if is_well else ExitCode.CHECK_FAILED


@app.command(epilog="Example: mrmarket vault sweep --dry-run --data data")
def sweep(
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show amount, destination, nonce and gas; nothing is sent.")
    ] = False,
    config: ConfigFile = None,
    data: Data = DEFAULT_DATA,
    store: Store = IN_FOLDER,
    json: Json = False,
) -> int:
    """Move what waits in the vaults on, before the cycle's end. The running instance does it.

    With --dry-run everything is checked that is checked before a transfer, whether an instance runs or not:
    exit status 1 if one would not be made. A transfer has a key; asking twice sends nothing twice.
    """
    if dry_run:
        return _try_sweep(data, store, config, as_json=json)
    from mrmarket.services.api.partner_schema import SweepRequest, SweepsView
    from mrmarket.services.remote import RemoteInstance

    request = SweepRequest(dry_run=False)
    view = RemoteInstance.of(data).change("admin/partners/sweep", SweepsView, request)
    if json:
        print_json(view)
    else:
        _print_under_way(view)
        if not view.under_way:
            notes.print("Nothing waits in the vaults.")
    return ExitCode.OK


@app.command("new-key", epilog="Example: mrmarket vault new-key vault-key.json")
def new_key(
    file: Annotated[Path, typer.Argument(help="The key file; must not be there yet.", metavar="FILE")],
    *,
    json: Json = False,
) -> None:
    """Make the account that campaigns will pay: a new key, encrypted in a file that only you may read.

    The password is taken from MRMARKET_VAULT_PASSWORD, or asked for. Keep both, apart: without them the money
    is gone. The key itself is never shown.
    """
    from mrmarket.services.keys.hardening import forbid_core_dumps
    from mrmarket.services.partners.opening import require_libraries

    forbid_core_dumps()
    require_libraries()
    from mrmarket.partners.chains.signer import write_keyfile

    address = write_keyfile(file, secrets.token_bytes(_KEY_BYTES), _password())
    if json:
        print_json({"address": address, "file": str(file)})
    else:
        print_pairs(f"[bold]{address}[/]", [("key file", str(file)), ("next", "send it coins for gas")])


def _password() -> str:
    """What opens the key file. Raises SecretMissingError where nobody can be asked."""
    from mrmarket.services.partners.errors import SecretMissingError

    if given := os.environ.get(_VARIABLE, ""):
        return given
    if not sys.stdin.isatty():
        raise SecretMissingError(f"the variable {_VARIABLE}", "set it to a password for the new key file")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))


def _try_sweep(data: Path, store: str, config: Path | None, *, as_json: bool) -> int:
    from mrmarket.cli.partner_doors import setting_at
    from mrmarket.services.partners.opening import open_signer
    from mrmarket.services.partners.sweep_trial import try_sweeps

    setting = setting_at(data, config)
    plans = _sweeps(data, store).plans
    trials: list[SweepTrial] = []
    if plans:
        signer = open_signer(setting)
        with _book(setting) as book:
            trials = asyncio.run(try_sweeps(setting, plans, book, signer))
    is_well = not any(trial.problem for trial in trials)
    if as_json:
        print_json({"ok": is_well, "dry_run": True, "sweeps": trials})
    elif trials:
        print_table(
            ["chain", "amount", "rewards", "to", "nonce", "gas", "costs at most", "problem"],
            [
                [
                    trial.chain or str(trial.chain_id),
                    f"{trial.amount} {trial.code}",
                    str(trial.payouts),
                    trial.destination,
                    "" if trial.nonce is None else str(trial.nonce),
                    "" if trial.gas is None else str(trial.gas),
                    trial.most_cost,
                    trial.problem,
                ]
                for trial in trials
            ],
        )
        notes.print("Nothing was signed or sent.")
    else:
        notes.print("Nothing waits in the vaults.")
    return ExitCode.OK if is_well else ExitCode.CHECK_FAILED


def _sweeps(data: Path, store: str) -> SweepsView:
    """What waits and what is under way, by the books."""
    from mrmarket.services.partners.opening import CHAINS_FILE
    from mrmarket.services.partners.vault_reading import ReadVault
    from mrmarket.services.partners.views import sweeps_view

    vault = ReadVault.open(data / CHAINS_FILE)
    try:
        with open_books(data, store) as sql:
            return sweeps_view(sql, vault)
    finally:
        if vault is not None:
            vault.close()


def _asked(setting: PartnerSetting, waiting: SweepsView) -> tuple[list[ChainView], list[VaultView]]:
    """By our own questions; where this shell lacks the vault's key, by those of the running instance."""
    from mrmarket.partners.chains.errors import SignerError
    from mrmarket.services.api.partner_schema import PartnersView
    from mrmarket.services.data_directory import NotRunningError
    from mrmarket.services.partners.errors import SecretMissingError
    from mrmarket.services.remote import RemoteInstance

    try:
        sights = asyncio.run(_look(setting, waiting))
    except (SecretMissingError, SignerError):
        try:
            view = RemoteInstance.of(setting.folder).read("admin/partners", PartnersView)
        except NotRunningError:
            view = None
        if view is None:
            raise
        return view.chains, view.vaults
    return sights.chains, sights.vaults


async def _look(setting: PartnerSetting, waiting: SweepsView) -> Sights:
    from mrmarket.services.partners.errors import PartnerOffError
    from mrmarket.services.partners.opening import open_node, open_signer
    from mrmarket.services.partners.sights import ChainPart, VaultPart, partner_sights

    if not setting.partners.chains:
        raise PartnerOffError("vault", "no chain is configured; name one in [[chains]] and give --config")
    account = open_signer(setting).address
    nodes = [open_node(chain) for chain in setting.partners.chains]
    try:
        with _book(setting) as book:
            chains = [
                ChainPart(chain, node, book)
                for chain, node in zip(setting.partners.chains, nodes, strict=True)
            ]
            vaults = [
                VaultPart(part, account, partial(_allowed, setting, part.settings), partial(_now_ms, setting))
                for part in chains
            ]
            return await partner_sights(chains, vaults, None, None, waiting)
    finally:
        for node in nodes:
            await node.close()


def _allowed(setting: PartnerSetting, chain: ChainSettings) -> VaultSettings:
    """What the vault may do there, as far as is known without asking Mixin."""
    from mrmarket.services.partners.destinations import Destinations

    known = Destinations(setting.partners, setting.folder, None).known(chain.chain_id)
    return setting.partners.vault.settings(chain, known)


def _now_ms(setting: PartnerSetting) -> int:
    from mrmarket.core.clock import NS_PER_MS

    return setting.wall.now_ns() // NS_PER_MS


@contextmanager
def _book(setting: PartnerSetting) -> Iterator[ChainBook]:
    """What the vault has paid; where nothing ever was, an empty one that leaves nothing behind."""
    from dataclasses import replace
    from tempfile import TemporaryDirectory

    from mrmarket.services.partners.opening import CHAINS_FILE, open_chains

    with TemporaryDirectory() as folder:
        is_there = (setting.folder / CHAINS_FILE).is_file()
        book = open_chains(setting if is_there else replace(setting, folder=Path(folder)))
        try:
            yield book
        finally:
            book.close()


def _print_chains(chains: list[ChainView]) -> None:
    print_table(
        ["chain", "id", "head", "read", "final", "behind", "confirmations", "state"],
        [
            [
                each.name,
                str(each.chain_id),
                *("?" if number is None else str(number) for number in (each.head, each.read, each.final)),
                "?" if each.lag is None else str(each.lag),
                str(each.confirmations),
                each.halted or each.problem or "ok",
            ]
            for each in chains
        ],
    )


def _print_vault(vault: VaultView) -> None:
    print_pairs(
        f"\n[bold]{vault.account}[/] on {vault.chain}",
        [
            ("gas", "unknown" if vault.coins is None else f"{vault.coins} of the chain's own coin"),
            ("next nonce", str(vault.next_nonce)),
            ("under way", str(vault.pending)),
            ("may pay to", ", ".join(vault.destinations) or "nobody yet"),
            *((("problem", vault.problem),) if vault.problem else ()),
        ],
    )
    print_table(
        ["token", "held", "waiting", f"spent in {vault.window_s} s", "of at most", "contract"],
        [
            [
                each.code,
                "?" if each.balance is None else each.balance,
                each.waiting,
                each.spent,
                each.limit,
                each.address,
            ]
            for each in vault.tokens
        ],
    )
    if vault.latest:
        print_table(
            ["newest", "amount", "nonce", "transaction", "why"],
            [
                [one.state, f"{one.amount} {one.token}", str(one.nonce), one.tx, one.reason]
                for one in vault.latest[:_SHOWN]
            ],
        )


def _print_under_way(view: SweepsView) -> None:
    if view.under_way:
        print_table(
            ["under way", "amount", "rewards", "state", "transaction"],
            [
                [one.key, f"{one.amount} {one.code}", str(one.payouts), one.state or "not begun", one.tx]
                for one in view.under_way
            ],
        )
