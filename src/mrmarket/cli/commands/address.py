"""`mrmarket address`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mrmarket.cli.options import Json
from mrmarket.cli.output import notes, print_json, print_pairs

if TYPE_CHECKING:
    from mrmarket.partners.keys.chain import Scheme
    from mrmarket.partners.keys.derivation import Address

app = typer.Typer(help="Addresses of many chains from one seed.", no_args_is_help=True)

VARIABLE = "MRMARKET_SEED"
_MOST_BYTES = 4096


@app.command()
def derive(
    *,
    chain: Annotated[str, typer.Option("--chain", help="Such as `ethereum`, `bitcoin` or `solana`.")],
    index: Annotated[str, typer.Option("--index", help="Which of several; a number for bip44.")] = "0",
    scope: Annotated[str, typer.Option("--scope", help="What the keys are for. Not for bip44.")] = "",
    user: Annotated[str, typer.Option("--user", help="Whose key it is. Not for bip44.")] = "",
    scheme: Annotated[
        str, typer.Option("--scheme", help="`hmac`, `corrected` (near, ton) or `bip44` (words).")
    ] = "hmac",
    seed_file: Annotated[
        Path | None,
        typer.Option("--seed-file", help="64 hexadecimal digits, or words; your own file.", metavar="FILE"),
    ] = None,
    json: Json = False,
) -> None:
    """Show the address of a scope, user, chain and index. The seed is never taken from the command line.

    It comes from --seed-file, the variable MRMARKET_SEED, or a prompt; neither it nor a private key is shown.
    """
    from mrmarket.core.errors import InvalidInputError
    from mrmarket.partners.keys.chain import Scheme, admit, chain_named
    from mrmarket.services.keys.hardening import forbid_core_dumps

    forbid_core_dumps()
    try:
        by = Scheme(scheme)
    except ValueError:
        raise InvalidInputError("scheme", scheme, "hmac, corrected or bip44") from None
    admit(chain_named(chain), by)  # before anybody is asked for a seed
    found = _by_path(chain, index, scope, user, seed_file) if by is Scheme.BIP44 else None
    _show(found or _by_name(scope, user, chain, index, by, seed_file), as_json=json)


def _by_name(scope: str, user: str, chain: str, index: str, scheme: Scheme, file: Path | None) -> Address:
    from mrmarket.partners.keys.derivation import address_by_name
    from mrmarket.partners.keys.name import KeyName
    from mrmarket.partners.keys.secret_bytes import Seed

    name = KeyName.of(scope, user, chain, index)
    with Seed.from_hex(_seed_text(file, "Seed (64 hexadecimal digits)")) as seed:
        return address_by_name(seed, name, scheme)


def _by_path(chain: str, index: str, scope: str, user: str, file: Path | None) -> Address:
    from mrmarket.core.errors import InvalidInputError
    from mrmarket.partners.keys.chain import chain_named
    from mrmarket.partners.keys.derivation import address_by_path, path_of
    from mrmarket.partners.keys.encoding import seed_of_words

    if scope or user:
        raise InvalidInputError("scope and user", f"{scope}:{user}", "neither of them with bip44")
    if not (index.isascii() and index.isdigit()):
        raise InvalidInputError("index", index, "a whole number with bip44")
    path_of(chain_named(chain), int(index))
    with seed_of_words(_seed_text(file, "BIP-39 words")) as seed:
        return address_by_path(seed, chain_named(chain), int(index))


def _seed_text(file: Path | None, words: str) -> str:
    """The seed as somebody gave it: a file, the environment, a person."""
    from mrmarket.partners.keys.errors import SeedMissingError, SeedRefusedError
    from mrmarket.services.keys.errors import KeyFileError
    from mrmarket.services.keys.private_file import read_private

    if file is not None:
        try:
            return read_private(file, _MOST_BYTES).decode().strip()
        except FileNotFoundError:
            raise KeyFileError(file, "there is no such file of a seed") from None
        except UnicodeDecodeError:
            raise SeedRefusedError("the file is no text") from None
    if given := os.environ.get(VARIABLE, "").strip():
        return given
    if not sys.stdin.isatty():
        raise SeedMissingError(VARIABLE)
    return str(typer.prompt(words, hide_input=True, err=True)).strip()


def _show(found: Address, *, as_json: bool) -> None:
    fields = {
        "chain": found.chain.value,
        "address": found.address,
        "public_key": found.public_key,
        "scheme": found.scheme.value,
        "name": found.name,
        "never_use": found.never_use,
    }
    if as_json:
        print_json(fields)
        return
    shown = ("address", "public_key", "scheme", "name")
    print_pairs(f"[bold]{found.chain}[/]", [(word.replace("_", " "), str(fields[word])) for word in shown])
    if found.never_use is not None:
        notes.print(
            f"An older SDK may show {found.never_use} for this key. Nobody can sign for it: never pay there.",
            soft_wrap=True,
        )
