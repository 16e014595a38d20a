"""What is kept of exchange keys, who can open it, and what a change of the file does."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given as sampled
from hypothesis import settings
from hypothesis import strategies as st

from mrmarket.core.clock import ManualClock
from mrmarket.core.errors import InvalidInputError, MrMarketError
from mrmarket.services.keys.errors import (
    KeyExistsError,
    KeyFileError,
    KeysChangedError,
    KeysDamagedError,
    KeysExposedError,
    KeysTooNewError,
    KeyTextRefusedError,
    UnknownKeyError,
    WrongMasterKeyError,
)
from mrmarket.services.keys.key_store import Credentials, KeyStore
from mrmarket.services.keys.secret import Secret
from mrmarket.trading.venue.port import KeyPermissions
from services.keys.key_samples import (
    API_KEY,
    API_SECRET,
    MASTER,
    OTHER,
    credentials,
    given,
    store_in,
    texts,
)

FILE = "keys.json"


def filled(folder: Path) -> dict[str, Any]:
    """A file with two keys, as JSON."""
    store = store_in(folder)
    store.add("main", "binance", credentials())
    store.add("other", "okx", credentials("-2"))
    found: dict[str, Any] = json.loads((folder / FILE).read_text())
    return found


def put(folder: Path, content: object) -> None:
    """Change the file behind the store's back."""
    (folder / FILE).write_text(json.dumps(content))


def test_a_key_comes_back_as_it_was_given(tmp_path: Path) -> None:
    """After the store was opened anew, with what is known of it."""
    rights = KeyPermissions(read=True, trade=True, withdraw=False)
    store_in(tmp_path).add("main", "binance", credentials(), rights=rights, checked_ms=5)
    store = store_in(tmp_path)
    assert texts(store.credentials("main")) == (API_KEY, API_SECRET, "phrase")
    entry = store.entry("main")
    assert (entry.venue, entry.version, entry.rights, entry.checked_ms) == ("binance", 1, rights, 5)


def test_nothing_secret_is_in_the_folder(tmp_path: Path) -> None:
    """Neither the texts nor the master key, and everything is its owner's alone."""
    filled(tmp_path)
    store_in(tmp_path).remove("other")
    for path in tmp_path.iterdir():
        content = path.read_bytes()
        assert path.stat().st_mode & 0o777 == 0o600
        assert not any(text.encode() in content for text in (API_KEY, API_SECRET, "phrase", MASTER))


def test_each_opening_tells_the_log_what_to_mask(tmp_path: Path) -> None:
    """Every part of the key, before anybody can use it."""
    filled(tmp_path)
    known: list[str] = []
    store_in(tmp_path).credentials("main", known.append)
    assert known == [API_KEY, API_SECRET, "phrase"]


@pytest.mark.parametrize("master", [OTHER, "a passphrase of somebody", "mmk1_short"])
def test_a_wrong_master_key_is_one_clear_line(tmp_path: Path, master: str) -> None:
    """It names where the key came from and not the key; nothing is changed."""
    before = filled(tmp_path)
    with pytest.raises(WrongMasterKeyError) as refused:
        store_in(tmp_path, master)
    assert "the test" in str(refused.value)
    assert master not in str(refused.value)
    assert json.loads((tmp_path / FILE).read_text()) == before


def test_a_passphrase_opens_what_it_closed(tmp_path: Path) -> None:
    """Derived with Argon2id under the salt and the parameters of the file."""
    store_in(tmp_path, "correct horse battery").add("main", "binance", credentials())
    how = json.loads((tmp_path / FILE).read_text())["derivation"]
    assert (how["kind"], how["memory_kib"] >= 65_536) == ("argon2id", True)
    assert texts(store_in(tmp_path, "correct horse battery").credentials("main"))[0] == API_KEY
    with pytest.raises(WrongMasterKeyError):
        store_in(tmp_path, "correct horse batterx")


def test_entries_cannot_be_swapped(tmp_path: Path) -> None:
    """The sealed text of one key under the name of another does not open."""
    content = filled(tmp_path)
    first, second = content["entries"]
    first["sealed"], second["sealed"] = second["sealed"], first["sealed"]
    put(tmp_path, content)
    with pytest.raises(KeysDamagedError):
        store_in(tmp_path)


@pytest.mark.parametrize(
    "change", ["venue", "name", "allow", "version", "rights", "removed", "salt", "check"]
)
def test_nothing_in_the_file_can_be_changed_unnoticed(tmp_path: Path, change: str) -> None:
    """Also what is not secret: for which exchange a key is, whether it may withdraw, which keys there are."""
    content = filled(tmp_path)
    entry = content["entries"][0]["entry"]
    match change:
        case "venue":
            entry["venue"] = "okx"
        case "name":
            entry["name"] = "minor"
        case "allow":
            entry["allow_withdraw"] = True
        case "version":
            entry["version"] = 2
        case "rights":
            entry["rights"]["withdraw"] = False
        case "removed":
            del content["entries"][0]
        case "salt":
            content["derivation"]["salt"] = "AAAAAAAAAAAAAAAAAAAAAA=="
        case _:
            content["check"] = content["seal"]
    put(tmp_path, content)
    with pytest.raises((KeysDamagedError, WrongMasterKeyError)):
        store_in(tmp_path).credentials("main")


def test_a_change_while_the_store_is_open_is_noticed(tmp_path: Path) -> None:
    """Each use reads the file again and proves it."""
    content = filled(tmp_path)
    store = store_in(tmp_path)
    del content["entries"][1]
    put(tmp_path, content)
    with pytest.raises(KeysDamagedError):
        store.entries()


@settings(max_examples=60, deadline=None)
@sampled(data=st.data())
def test_any_flipped_bit_is_noticed(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Wherever it falls: the file is refused, or says exactly what it said."""
    folder = tmp_path_factory.mktemp("flipped")
    filled(folder)
    content = bytearray((folder / FILE).read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= 1 << data.draw(st.integers(0, 7))
    (folder / FILE).write_bytes(content)
    try:
        store = store_in(folder)
        found = [texts(store.credentials(name)) for name in ("main", "other")]
    except MrMarketError:
        return
    assert found == [texts(credentials()), texts(credentials("-2"))]


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ('{"format": "mrmarket keys", "version": 2, "something": "new"}', KeysTooNewError),
        ('{"format": "another", "version": 1}', KeysDamagedError),
        ("", KeysDamagedError),
        ("[" * 100_000, KeysDamagedError),
        ('{"format": "mrmarket keys", "version": 1e999999}', KeysDamagedError),
    ],
)
def test_a_file_of_another_kind_is_left_alone(tmp_path: Path, content: str, error: type[Exception]) -> None:
    """It is refused, and stays as it was."""
    file = tmp_path / FILE
    file.write_text(content)
    file.chmod(0o600)
    with pytest.raises(error):
        store_in(tmp_path)
    assert file.read_text() == content


def test_what_others_can_read_is_refused(tmp_path: Path) -> None:
    """The error says how to put it right."""
    filled(tmp_path)
    (tmp_path / FILE).chmod(0o640)
    with pytest.raises(KeysExposedError, match="chmod 600"):
        store_in(tmp_path)


@pytest.mark.parametrize("kind", ["folder", "pipe", "long"])
def test_what_is_no_ordinary_file_is_refused(tmp_path: Path, kind: str) -> None:
    """A named pipe does not hang the start, and a huge file is not read."""
    path = tmp_path / FILE
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path, 0o600)
    else:
        path.touch(0o600)
        os.truncate(path, 3 * 1024**2)
    with pytest.raises(KeyFileError):
        store_in(tmp_path)


def test_a_link_is_replaced_and_never_followed(tmp_path: Path) -> None:
    """What it points to stays as it was."""
    folder, elsewhere = tmp_path / "data", tmp_path / "victim"
    folder.mkdir()
    elsewhere.write_text("precious")
    (folder / "keys.json.draft").symlink_to(elsewhere)
    store_in(folder).add("main", "binance", credentials())
    assert elsewhere.read_text() == "precious"
    assert not (folder / FILE).is_symlink()
    (folder / "keys.json.lock").unlink()
    (folder / "keys.json.lock").symlink_to(elsewhere)
    with pytest.raises(KeyFileError):
        store_in(folder).remove("main")


def test_a_name_is_taken_once_and_replaced_on_demand(tmp_path: Path) -> None:
    """The replacement counts up."""
    store = store_in(tmp_path)
    store.add("main", "binance", credentials())
    with pytest.raises(KeyExistsError):
        store.add("main", "binance", credentials("-2"))
    assert store.add("main", "okx", credentials("-2"), replace=True).version == 2
    assert texts(store.credentials("main"))[0] == f"{API_KEY}-2"
    assert [entry.venue for entry in store.entries()] == ["okx"]


def test_two_stores_on_one_folder_lose_nothing(tmp_path: Path) -> None:
    """Each change is made over the file as it is then."""
    first, second = store_in(tmp_path), store_in(tmp_path)
    first.add("one", "binance", credentials())
    second = store_in(tmp_path)
    second.add("two", "binance", credentials())
    first.add("three", "binance", credentials())
    assert [entry.name for entry in second.entries()] == ["one", "three", "two"]


def test_a_store_that_was_begun_by_somebody_else_is_not_written_over(tmp_path: Path) -> None:
    """Two first keys at once: the second hears of it and can be repeated."""
    first, second = store_in(tmp_path), store_in(tmp_path)
    first.add("one", "binance", credentials())
    with pytest.raises(KeysChangedError) as refused:
        second.add("two", "binance", credentials())
    assert refused.value.retryable
    assert [entry.name for entry in store_in(tmp_path).entries()] == ["one"]


def test_what_the_exchange_says_is_written_down(tmp_path: Path) -> None:
    """And the key stays as it is."""
    filled(tmp_path)
    store = store_in(tmp_path)
    rights = KeyPermissions(withdraw=True, ip_restricted=False)
    store.note_rights("main", rights, 77)
    assert (store.entry("main").rights, store.entry("main").checked_ms) == (rights, 77)
    assert texts(store.credentials("main"))[1] == API_SECRET


@pytest.mark.parametrize("name", ["nobody", "", "../main"])
def test_an_unknown_name_is_told_what_there_is(tmp_path: Path, name: str) -> None:
    """For reading and for removing."""
    filled(tmp_path)
    store = store_in(tmp_path)
    for use in (store.credentials, store.remove, store.entry):
        with pytest.raises(UnknownKeyError, match="main, other"):
            use(name)


@pytest.mark.parametrize("name", ["", "Main", "a b", "../x", "x" * 41, "a\n"])
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    """Before anything is written."""
    with pytest.raises(InvalidInputError):
        store_in(tmp_path).add(name, "binance", credentials())
    with pytest.raises(InvalidInputError):
        store_in(tmp_path).add("main", name.replace("x", "X") or "B", credentials())
    assert not (tmp_path / FILE).exists()


@pytest.mark.parametrize(
    ("key", "secret", "phrase"),
    [
        ("", "s", ""),
        ("k", "", ""),
        ("two words", "s", ""),
        ("k\r\nX-Evil: 1", "s", ""),
        ("kéy", "s", ""),
        ("k", "s\0", ""),
        ("k", "s", "p\n1"),
        ("k", "s" * 9000, ""),
    ],
)
def test_a_text_that_no_exchange_gives_is_refused(tmp_path: Path, key: str, secret: str, phrase: str) -> None:
    """A line break in a key would write headers of its own; the words hold nothing of the text."""
    with pytest.raises(KeyTextRefusedError) as refused:
        store_in(tmp_path).add("main", "binance", Credentials(Secret(key), Secret(secret), Secret(phrase)))
    assert "Evil" not in str(refused.value)


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    """With the file's name and the system's reason."""
    store = KeyStore.open(tmp_path / "absent", given(), ManualClock())
    with pytest.raises(KeyFileError, match="cannot be written"):
        store.add("main", "binance", credentials())


def test_no_nonce_is_used_twice(tmp_path: Path) -> None:
    """Every seal of every write has its own 96 random bits."""
    store, seen = store_in(tmp_path), []
    for number in range(10):
        store.add(f"key{number}", "binance", credentials())
        content = json.loads((tmp_path / FILE).read_text())
        seen += [content["check"]["nonce"], content["seal"]["nonce"], *_new_nonce(content, f"key{number}")]
    assert len(set(seen)) == len(seen)


def _new_nonce(content: dict[str, Any], name: str) -> list[str]:
    return [one["sealed"]["nonce"] for one in content["entries"] if one["entry"]["name"] == name]
