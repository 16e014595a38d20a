"""What an exchange key may do is asked at entry and at each start."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from mrmarket.core.clock import ManualClock
from mrmarket.services.config_sections import VenueSection
from mrmarket.services.keys.account_key import MissingKeyError, find_account_key
from mrmarket.services.keys.condition import look_at_keys
from mrmarket.services.keys.errors import (
    KeyMayWithdrawError,
    KeyOfAnotherVenueError,
    MasterKeyMissingError,
    UnknownKeyError,
)
from mrmarket.services.keys.inspection import inspect_key, require_rights
from mrmarket.services.keys.rights import judge_rights
from mrmarket.services.keys.section import KeysSection
from mrmarket.trading.venue.port import (
    AuthenticationRefusedError,
    BalanceReport,
    KeyPermissions,
    VenueError,
    VenueUnavailableError,
)
from services.keys.key_samples import API_KEY, MASTER, credentials, store_in, texts

GOOD = KeyPermissions(read=True, trade=True, withdraw=False, ip_restricted=True)
ENVIRON = {"MRMARKET_KEY": MASTER}
TRADING = VenueSection(exchange="binance", key="main")


@dataclass
class AskedExchange:
    """A venue that tells what a key may do, or fails to."""

    rights: KeyPermissions = GOOD
    fault: VenueError | None = None
    opened: bool = False
    closed: bool = False
    clock_offset_ms: int = -12

    async def open(self) -> None:
        """Connect."""
        self.opened = True

    async def close(self) -> None:
        """Let go."""
        self.closed = True

    async def permissions(self) -> KeyPermissions:
        """What it was told to say."""
        if self.fault is not None:
            raise self.fault
        return self.rights

    async def balances(self) -> list[BalanceReport]:
        """One asset."""
        return [BalanceReport(asset="BTC", free="1", locked="0")]


def test_a_key_that_is_as_it_should_be_needs_no_word() -> None:
    """Reads, trades, cannot withdraw, and is bound to our address."""
    assert judge_rights("main", GOOD, allow_withdraw=False) == []


def test_a_key_that_may_withdraw_is_refused_unless_the_owner_insists() -> None:
    """And then it is said every time."""
    rights = KeyPermissions(read=True, trade=True, withdraw=True, ip_restricted=True)
    with pytest.raises(KeyMayWithdrawError, match="withdraw"):
        judge_rights("main", rights, allow_withdraw=False)
    assert ["may withdraw" in words for words in judge_rights("main", rights, allow_withdraw=True)] == [True]


def test_a_key_of_unknown_rights_is_used_with_a_warning() -> None:
    """Many exchanges do not tell."""
    assert [
        "does not tell" in words for words in judge_rights("main", KeyPermissions(), allow_withdraw=False)
    ] == [True]


def test_every_shortcoming_is_named() -> None:
    """No right to trade, none to read, and no bond to an address."""
    rights = KeyPermissions(read=False, trade=False, withdraw=False, ip_restricted=False)
    words = " ".join(judge_rights("main", rights, allow_withdraw=False))
    assert all(part in words for part in ("may not trade", "may not read", "any address"))


async def test_a_look_at_a_key_closes_the_venue_whatever_comes() -> None:
    """Also where the key is refused."""
    good, bad = AskedExchange(), AskedExchange(KeyPermissions(withdraw=True))
    report = await inspect_key("main", good, allow_withdraw=False)
    assert (report.rights, report.assets, report.clock_offset_ms) == (GOOD, 1, -12)
    with pytest.raises(KeyMayWithdrawError):
        await inspect_key("main", bad, allow_withdraw=False)
    assert (good.closed, bad.closed) == (True, True)


async def test_each_start_asks_again() -> None:
    """A key that was given the right to withdraw since then is refused."""
    assert await require_rights("main", AskedExchange(), allow_withdraw=False) == GOOD
    with pytest.raises(KeyMayWithdrawError):
        await require_rights("main", AskedExchange(KeyPermissions(withdraw=True)), allow_withdraw=False)


async def test_a_venue_that_does_not_answer_keeps_nobody_from_recovering() -> None:
    """Orders that nobody watches are the greater danger; a key that is refused is another matter."""
    silent = AskedExchange(fault=VenueUnavailableError("binance", "permissions", "time-out"))
    assert await require_rights("main", silent, allow_withdraw=False) == KeyPermissions()
    refused = AskedExchange(fault=AuthenticationRefusedError("binance", "permissions", "no"))
    with pytest.raises(AuthenticationRefusedError):
        await require_rights("main", refused, allow_withdraw=False)


def test_a_venue_trades_with_the_key_that_it_names(tmp_path: Path) -> None:
    """It is opened, and the log is told what to mask."""
    store_in(tmp_path).add("main", "binance", credentials(), allow_withdraw=True)
    known: list[str] = []
    key = find_account_key(TRADING, KeysSection(), tmp_path, ENVIRON, ManualClock(), known.append)
    assert (key.name, texts(key.credentials)[0], key.allow_withdraw) == ("main", API_KEY, True)
    assert {API_KEY, MASTER} <= set(known)


def test_a_key_of_another_exchange_is_not_sent_there(tmp_path: Path) -> None:
    """The other exchange must not see it."""
    store_in(tmp_path).add("main", "okx", credentials())
    with pytest.raises(KeyOfAnotherVenueError):
        find_account_key(TRADING, KeysSection(), tmp_path, ENVIRON, ManualClock())


def test_a_key_that_is_not_there_is_named(tmp_path: Path) -> None:
    """And so is a master key that nobody told."""
    with pytest.raises(UnknownKeyError):
        find_account_key(TRADING, KeysSection(), tmp_path, ENVIRON, ManualClock())
    with pytest.raises(MasterKeyMissingError):
        find_account_key(TRADING, KeysSection(), tmp_path, {}, ManualClock())


def test_without_a_name_the_key_comes_from_the_environment(tmp_path: Path) -> None:
    """As it always did; the log is told of it too."""
    section = VenueSection(exchange="binance")
    environ = {"MRMARKET_API_KEY": "k1", "MRMARKET_API_SECRET": "s1"}
    known: list[str] = []
    keys = KeysSection(allow_withdraw_key=True)
    key = find_account_key(section, keys, tmp_path, environ, ManualClock(), known.append)
    assert (texts(key.credentials), known, key.allow_withdraw) == (("k1", "s1", ""), ["k1", "s1"], True)
    with pytest.raises(MissingKeyError, match="MRMARKET_API_KEY and MRMARKET_API_SECRET"):
        find_account_key(section, keys, tmp_path, {}, ManualClock())


def looked(folder: Path, venue: VenueSection = TRADING, environ: dict[str, str] | None = None) -> list[str]:
    """Result and words of each finding."""
    found = look_at_keys(venue, KeysSection(), folder, ENVIRON if environ is None else environ)
    return [f"{one.result}: {one.found}" for one in found]


def test_the_doctor_sees_what_is_wrong_without_opening_a_key(tmp_path: Path) -> None:
    """No key, no master key, another exchange, never asked, may withdraw."""
    assert looked(tmp_path)[0].startswith("fail: no key is called 'main'")
    store = store_in(tmp_path)
    store.add("main", "binance", credentials())
    assert looked(tmp_path) == [
        "warn: nobody asked binance about 'main'",
        "ok: the master key comes from MRMARKET_KEY",
    ]
    assert looked(tmp_path, environ={})[1].startswith("fail: no master key")
    store.note_rights("main", KeyPermissions(withdraw=True), 5)
    assert looked(tmp_path)[-1] == "fail: the key 'main' may withdraw money"
    assert looked(tmp_path, VenueSection(exchange="okx", key="main"))[0].startswith(
        "fail: the key 'main' is for"
    )
    (tmp_path / "keys.json").chmod(0o644)
    assert looked(tmp_path)[0].startswith("fail: ")


def test_the_doctor_looks_into_the_environment_where_no_key_is_named(tmp_path: Path) -> None:
    """As before there was a store."""
    section = VenueSection(exchange="binance")
    assert looked(tmp_path, section, {}) == ["fail: not set: MRMARKET_API_KEY, MRMARKET_API_SECRET"]
    environ = {"MRMARKET_API_KEY": "k", "MRMARKET_API_SECRET": "s"}
    assert looked(tmp_path, section, environ) == ["ok: set in the environment"]


def test_the_doctor_warns_of_a_master_key_beside_what_it_protects(tmp_path: Path) -> None:
    """A backup of the folder would hold both."""
    keys = KeysSection(key_file=str(tmp_path / "master.key"))
    found = list(look_at_keys(TRADING, keys, tmp_path, {}))
    assert any("beside what it protects" in one.found for one in found)
