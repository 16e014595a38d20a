"""`mrmarket keys`."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from mrmarket.cli.options import DEFAULT_DATA, ConfigFile, Data, Json
from mrmarket.cli.output import notes, print_json, print_pairs, print_table

if TYPE_CHECKING:
    from mrmarket.services.config_sections import Config
    from mrmarket.services.keys.inspection import KeyReport
    from mrmarket.services.keys.key_file import KeyEntry
    from mrmarket.services.keys.key_source import KeySource
    from mrmarket.services.keys.key_store import Credentials, KeyStore
    from mrmarket.services.keys.secret import Secret

app = typer.Typer(
    help="The exchange keys of an instance, encrypted in its data folder.", no_args_is_help=True
)

KeyName = Annotated[str, typer.Argument(help="What the key is called.")]


@app.command()
def add(
    name: KeyName,
    *,
    venue: Annotated[str, typer.Option("--venue", help="Exchange id, such as `binance`.")],
    stdin: Annotated[
        bool,
        typer.Option(
            "--stdin", help="Read key, secret and passphrase from stdin: a line each, or one JSON object."
        ),
    ] = False,
    env: Annotated[
        bool, typer.Option("--env", help="Take them from the variables that [venue] names.")
    ] = False,
    allow_withdraw: Annotated[
        bool, typer.Option("--allow-withdraw", help="Accept a key that may withdraw. Better: make another.")
    ] = False,
    unchecked: Annotated[
        bool, typer.Option("--unchecked", help="Do not ask the exchange now; it is asked at each start.")
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Take the place of a key of that name.")] = False,
    data: Data = DEFAULT_DATA,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Keep an exchange key, after asking the exchange what it may do. Never on the command line itself."""
    from mrmarket.core.clock import NS_PER_MS, SystemClock
    from mrmarket.services.keys.errors import KeyExistsError
    from mrmarket.services.keys.rights import UNKNOWN

    settings, clock = _settings(config), SystemClock()
    allowed = allow_withdraw or settings.keys.allow_withdraw_key
    store = _open(data, settings)
    if not replace and any(entry.name == name for entry in store.entries()):
        raise KeyExistsError(name)
    credentials = _given(settings, stdin=stdin, env=env)
    rights, checked_ms, warnings = UNKNOWN, 0, ["the exchange was not asked what this key may do"]
    if not unchecked:
        report = _inspect(name, venue, credentials, settings, allow_withdraw=allowed)
        rights, checked_ms, warnings = report.rights, clock.now_ns() // NS_PER_MS, list(report.warnings)
    entry = store.add(
        name,
        venue,
        credentials,
        rights=rights,
        checked_ms=checked_ms,
        allow_withdraw=allow_withdraw,
        replace=replace,
    )
    credentials.wipe()
    if json:
        print_json({"added": entry, "warnings": warnings})
        return
    _warn(warnings)
    notes.print(f'Kept. To trade with it: \\[venue] exchange = "{venue}", key = "{name}"', soft_wrap=True)


@app.command("list")
def list_keys(*, data: Data = DEFAULT_DATA, json: Json = False) -> None:
    """List the keys and what they may do; needs no master key, and shows no secret."""
    from mrmarket.services.keys.key_file import FILE, read_key_file

    file = read_key_file(data / FILE)
    entries = [] if file is None else [kept.entry for kept in file.entries]
    if json:
        print_json({"keys": entries})
        return
    if not entries:
        notes.print("No exchange key is kept here; add one with: mrmarket keys add NAME --venue ID")
        return
    print_table(
        ["name", "exchange", "version", "reads", "trades", "withdraws", "bound to addresses", "asked"],
        [_row(entry) for entry in entries],
    )
    _warn([f"the key {entry.name!r} may withdraw money" for entry in entries if entry.rights.withdraw])


@app.command()
def check(name: KeyName, *, data: Data = DEFAULT_DATA, config: ConfigFile = None, json: Json = False) -> None:
    """Ask the exchange what a key may do, whether the account can be read, and how far the clocks differ."""
    from mrmarket.core.clock import NS_PER_MS, SystemClock

    settings = _settings(config)
    store = _open(data, settings)
    entry = store.entry(name)
    credentials = store.credentials(name)
    # What it may do is written down first, so that a refusal shows in `keys list` as well.
    report = _inspect(name, entry.venue, credentials, settings, allow_withdraw=True)
    credentials.wipe()
    store.note_rights(name, report.rights, SystemClock().now_ns() // NS_PER_MS)
    from mrmarket.services.keys.rights import judge_rights

    judge_rights(name, report.rights, allow_withdraw=entry.allow_withdraw or settings.keys.allow_withdraw_key)
    if json:
        print_json({"name": name, "exchange": entry.venue, **_fields(report)})
        return
    print_pairs(
        f"[bold]{escape(name)}[/] at {escape(entry.venue)}",
        [
            ("reads", _word(report.rights.read)),
            ("trades", _word(report.rights.trade)),
            ("withdraws", _word(report.rights.withdraw)),
            ("bound to addresses", _word(report.rights.ip_restricted)),
            ("assets with a balance", str(report.assets)),
            ("the exchange's clock is ahead by", f"{report.clock_offset_ms} ms"),
        ],
    )
    _warn(list(report.warnings))


@app.command()
def remove(
    name: KeyName, *, data: Data = DEFAULT_DATA, config: ConfigFile = None, json: Json = False
) -> None:
    """Forget a key. Delete it at the exchange as well: a backup may still hold it."""
    entry = _open(data, _settings(config)).remove(name)
    if json:
        print_json({"removed": entry})
    else:
        notes.print(
            f"Forgotten here. Delete it at {escape(entry.venue)} as well: a backup may still hold it."
        )


@app.command()
def rekey(
    *,
    new_key_file: Annotated[
        Path | None, typer.Option("--new-key-file", help="File that holds the new master key.")
    ] = None,
    data: Data = DEFAULT_DATA,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Change the master key: everything is sealed anew. Broken off, the old key or the new one opens it all.

    With [keys] key_file the new master key is generated and takes the file's place. Otherwise it comes
    from --new-key-file, from MRMARKET_KEY_NEW, or from a prompt.
    """
    from mrmarket.services.keys.errors import NewMasterKeyMissingError
    from mrmarket.services.keys.key_source import NEW_VARIABLE, KeyInFile
    from mrmarket.services.keys.master_key import generate
    from mrmarket.services.keys.secret import Secret

    settings = _settings(config)
    source = _source(settings, data)
    store = _open(data, settings, source)
    home: KeyInFile | None = None
    if new_key_file is not None:
        (new, *_), where = KeyInFile(new_key_file).candidates(), str(new_key_file)
    elif os.environ.get(NEW_VARIABLE):
        new, where = Secret(os.environ[NEW_VARIABLE].strip()), NEW_VARIABLE
    elif isinstance(source, KeyInFile) and settings.keys.key_file:
        home, new, where = source, generate(os.urandom), str(source.path)
    elif sys.stdin.isatty():
        new, where = _asked_master("New master key", twice=True), "the prompt"
    else:
        raise NewMasterKeyMissingError
    count = store.rekey(new, home)
    if json:
        print_json({"sealed_anew": count, "master_key": where})
    else:
        notes.print(f"{count} sealed anew. From now on the master key from {escape(where)} opens them.")


@app.command("new-master")
def new_master(
    file: Annotated[Path, typer.Argument(help="A file that does not exist yet.")], *, json: Json = False
) -> None:
    """Write a new random master key into a file that only you may read. Keep a copy elsewhere."""
    from mrmarket.services.keys.key_source import write_master
    from mrmarket.services.keys.master_key import generate

    write_master(file, generate(os.urandom))
    if json:
        print_json({"master_key_file": str(file)})
    else:
        notes.print(
            f"Written. Name it in \\[keys] key_file, and keep a copy of {escape(str(file))} elsewhere."
        )


def _settings(config: Path | None) -> Config:
    from mrmarket.services.config import load_config

    return load_config(config, {}).config


def _source(settings: Config, data: Path) -> KeySource:
    from mrmarket.services.keys.key_file import FILE
    from mrmarket.services.keys.key_source import find_source

    new = not (data / FILE).exists()
    ask = (lambda: _asked_master("Master key", twice=new)) if sys.stdin.isatty() else None
    return find_source(settings.keys, os.environ, ask)


def _open(data: Path, settings: Config, source: KeySource | None = None) -> KeyStore:
    from mrmarket.core.clock import SystemClock
    from mrmarket.services.data_directory import DataDirectoryError
    from mrmarket.services.keys.hardening import forbid_core_dumps
    from mrmarket.services.keys.key_store import KeyStore

    forbid_core_dumps()
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise DataDirectoryError(data, error.strerror or str(error)) from error
    return KeyStore.open(data, source or _source(settings, data), SystemClock())


def _asked_master(words: str, *, twice: bool) -> Secret:
    from mrmarket.services.keys.secret import Secret

    return Secret(str(typer.prompt(words, hide_input=True, confirmation_prompt=twice, err=True)))


def _given(settings: Config, *, stdin: bool, env: bool) -> Credentials:
    from mrmarket.services.keys.errors import KeyTextRefusedError
    from mrmarket.services.keys.key_store import Credentials
    from mrmarket.services.keys.secret import Secret
    from mrmarket.services.keys.typed import read_credentials

    if stdin:
        return read_credentials(sys.stdin)
    if env:
        venue = settings.venue
        names = (venue.api_key_env, venue.api_secret_env, venue.api_password_env)
        return Credentials(*(Secret(os.environ.get(name, "")) for name in names))
    if not sys.stdin.isatty():
        raise KeyTextRefusedError("input", "there is no terminal to ask on; give --stdin or --env")
    return Credentials(_asked("Key"), _asked("Secret"), _asked("Passphrase (empty for none)", default=""))


def _asked(words: str, default: str | None = None) -> Secret:
    from mrmarket.services.keys.secret import Secret

    return Secret(str(typer.prompt(words, hide_input=True, err=True, default=default, show_default=False)))


def _inspect(
    name: str, exchange: str, credentials: Credentials, settings: Config, *, allow_withdraw: bool
) -> KeyReport:
    from mrmarket.core.clock import SystemClock
    from mrmarket.services.keys.inspection import inspect_key
    from mrmarket.trading.venue.ccxt_adapter.config import CcxtVenueConfig, VenueUrls
    from mrmarket.trading.venue.ccxt_adapter.venue import CcxtVenue

    section = settings.venue
    ours = section.exchange == exchange
    urls = (
        VenueUrls(rest=section.rest_url, ws=section.ws_url, ws_api=section.ws_api_url)
        if ours
        else VenueUrls()
    )
    account = CcxtVenueConfig(
        exchange=exchange,
        api_key=credentials.api_key.reveal(),
        secret=credentials.secret.reveal(),
        password=credentials.password.reveal(),
        urls=urls,
        recv_window_ms=section.recv_window_ms,
    )
    venue = CcxtVenue(account, SystemClock())
    return asyncio.run(inspect_key(name, venue, allow_withdraw=allow_withdraw))


def _fields(report: KeyReport) -> dict[str, Any]:
    import msgspec

    fields: dict[str, Any] = msgspec.to_builtins(report)
    return fields


def _row(entry: KeyEntry) -> list[str]:
    from datetime import UTC, datetime

    rights = entry.rights
    asked = datetime.fromtimestamp(entry.checked_ms // 1000, UTC).isoformat() if entry.checked_ms else "never"
    words = [_word(right) for right in (rights.read, rights.trade, rights.withdraw, rights.ip_restricted)]
    return [entry.name, entry.venue, str(entry.version), *words, asked]


def _word(right: bool | None) -> str:
    return {True: "yes", False: "no", None: "not told"}[right]


def _warn(warnings: list[str]) -> None:
    for words in warnings:
        notes.print(f"[bold red]warning[/]: {escape(words)}", soft_wrap=True)
