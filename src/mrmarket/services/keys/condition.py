"""In what condition the exchange keys are, for `mrmarket doctor`; opens none of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mrmarket.services.keys.account_key import NamesKey
from mrmarket.services.keys.errors import KeyStoreError
from mrmarket.services.keys.key_file import FILE, KeyEntry, read_key_file
from mrmarket.services.keys.key_source import find_source
from mrmarket.services.keys.section import KeysSection


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that was looked at."""

    result: Literal["ok", "warn", "fail"]
    found: str
    next_step: str = ""


def look_at_keys(
    venue: NamesKey, keys: KeysSection, folder: Path, environ: Mapping[str, str]
) -> Iterator[Condition]:
    """Whether the key that is configured is there and can be opened, and what every stored key may do."""
    try:
        file = read_key_file(folder / FILE)
    except KeyStoreError as error:
        yield Condition("fail", str(error), "put the file right before you trade")
        return
    entries = {} if file is None else {kept.entry.name: kept.entry for kept in file.entries}
    if venue.key:
        yield _configured(venue, entries)
        yield _opening(keys, environ)
    else:
        missing = [name for name in (venue.api_key_env, venue.api_secret_env) if not environ.get(name)]
        if missing:
            yield Condition(
                "fail", f"not set: {', '.join(missing)}", "mrmarket keys add, or trade on --paper first"
            )
        else:
            yield Condition("ok", "set in the environment")
    if keys.key_file and folder.resolve() in Path(keys.key_file).expanduser().resolve().parents:
        yield Condition(
            "warn",
            "the master key lies in the data folder, beside what it protects",
            "move it elsewhere, so that a backup of the folder does not hold both",
        )
    for entry in entries.values():
        if entry.rights.withdraw:
            result: Literal["warn", "fail"] = (
                "warn" if entry.allow_withdraw or keys.allow_withdraw_key else "fail"
            )
            yield Condition(
                result, f"the key {entry.name!r} may withdraw money", "replace it by one that may not"
            )


def _configured(venue: NamesKey, entries: Mapping[str, KeyEntry]) -> Condition:
    entry = entries.get(venue.key)
    if entry is None:
        return Condition("fail", f"no key is called {venue.key!r}", f"mrmarket keys add {venue.key}")
    if entry.venue != venue.exchange:
        return Condition(
            "fail", f"the key {entry.name!r} is for {entry.venue}", "name another in [venue] key"
        )
    if not entry.checked_ms:
        return Condition(
            "warn", f"nobody asked {entry.venue} about {entry.name!r}", f"mrmarket keys check {entry.name}"
        )
    return Condition("ok", f"{entry.name!r} for {entry.venue}, encrypted")


def _opening(keys: KeysSection, environ: Mapping[str, str]) -> Condition:
    try:
        source = find_source(keys, environ)
        source.candidates()
    except KeyStoreError as error:
        return Condition("fail", str(error), "tell where the master key is")
    return Condition("ok", f"the master key comes from {source.where}")
