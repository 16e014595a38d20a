"""Where the master key comes from, and how it is changed without ever locking anybody out."""

from __future__ import annotations

import contextvars
import os
import stat
from pathlib import Path

import pytest

from mrmarket.core import crash
from mrmarket.core.clock import ManualClock
from mrmarket.services.keys import key_file, key_source
from mrmarket.services.keys.errors import (
    KeyFileError,
    KeysExposedError,
    MasterKeyMissingError,
    WeakMasterKeyError,
    WrongMasterKeyError,
)
from mrmarket.services.keys.key_source import GivenKey, KeyInFile, find_source, write_master
from mrmarket.services.keys.key_store import KeyStore
from mrmarket.services.keys.master_key import generate
from mrmarket.services.keys.secret import Secret
from mrmarket.services.keys.section import KeysSection
from services.keys.key_samples import API_KEY, MASTER, OTHER, credentials, store_in, texts

POINTS = (*key_source.CRASH_POINTS, *key_file.CRASH_POINTS)


class PowerCut(BaseException):
    """Nothing after it runs."""


class CutAt:
    """A crash plan that ends a change at one label."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.reached = False

    def reach(self, label: str) -> None:
        """End it there."""
        if label == self.label:
            self.reached = True
            raise PowerCut


def told(source: key_source.KeySource) -> list[str]:
    """The master keys that a source offers."""
    return [key.reveal() for key in source.candidates()]


def key_file_in(folder: Path, text: str = MASTER) -> Path:
    """A file with a master key."""
    path = folder / "master.key"
    write_master(path, Secret(text))
    return path


def test_the_first_source_there_is_wins(tmp_path: Path) -> None:
    """The configured file, then the variable, then systemd's credential, then a person."""
    path = key_file_in(tmp_path)
    credential = tmp_path / "mrmarket.key"
    credential.write_text("from systemd\n")
    credential.chmod(0o440)  # as an ACL shows
    environ = {"MRMARKET_KEY": OTHER, "CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert told(find_source(KeysSection(key_file=str(path)), environ)) == [MASTER]
    assert told(find_source(KeysSection(), environ)) == [OTHER]
    del environ["MRMARKET_KEY"]
    assert told(find_source(KeysSection(), environ)) == ["from systemd"]
    assert told(find_source(KeysSection(), {}, lambda: Secret("typed"))) == ["typed"]
    with pytest.raises(MasterKeyMissingError):
        find_source(KeysSection(), {})


def test_a_master_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """A leaked master key must be noticed before it protects anything."""
    path = key_file_in(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for mode in (0o640, 0o604, 0o620):
        path.chmod(mode)
        with pytest.raises(KeysExposedError):
            KeyInFile(path).candidates()
    path.chmod(0o444)
    with pytest.raises(KeysExposedError):
        KeyInFile(path, credential=True).candidates()


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", b"x" * 5000])
def test_a_file_without_a_master_key_is_refused(tmp_path: Path, content: bytes | None) -> None:
    """It is missing, empty, no text, or too long."""
    path = tmp_path / "master.key"
    if content is not None:
        path.touch(0o600)
        path.write_bytes(content)
    with pytest.raises(KeyFileError):
        KeyInFile(path).candidates()


def test_a_master_key_is_never_written_over(tmp_path: Path) -> None:
    """It may be the only copy."""
    path = key_file_in(tmp_path)
    with pytest.raises(KeyFileError):
        write_master(path, Secret(OTHER))
    assert told(KeyInFile(path)) == [MASTER]


@pytest.mark.parametrize(
    "weak", ["short", "aaaaaaaaaaaaaaaaaaaa", "mmk1_tooshort", "mmk1_" + "A" * 50, "x" * 1025]
)
def test_a_weak_master_key_is_refused_when_it_is_first_used(tmp_path: Path, weak: str) -> None:
    """The words do not repeat it."""
    with pytest.raises(WeakMasterKeyError) as refused:
        store_in(tmp_path, weak)
    assert weak not in str(refused.value)


def test_generated_keys_have_256_bits_and_differ() -> None:
    """43 characters of base64 after the prefix."""
    keys = {generate(os.urandom).reveal() for _ in range(20)}
    assert {len(key) for key in keys} == {5 + 43}
    assert len(keys) == 20


def test_a_change_of_the_master_key_shuts_the_old_one_out(tmp_path: Path) -> None:
    """Everything is sealed anew, with a new salt; a store that is open goes on with the new one."""
    store = store_in(tmp_path)
    store.add("main", "binance", credentials())
    before = (tmp_path / "keys.json").read_text()
    assert store.rekey(Secret(OTHER)) == 1
    assert (tmp_path / "keys.json").read_text() != before
    store.add("second", "okx", credentials())
    with pytest.raises(WrongMasterKeyError):
        store_in(tmp_path)
    assert texts(store_in(tmp_path, OTHER).credentials("main"))[0] == API_KEY


@pytest.mark.parametrize("label", POINTS)
def test_a_change_that_is_broken_off_anywhere_locks_nobody_out(tmp_path: Path, label: str) -> None:
    """What lies in the master key's file, or beside it, opens the store; and the change can be repeated."""
    path = key_file_in(tmp_path)
    store = KeyStore.open(tmp_path, KeyInFile(path), ManualClock())
    store.add("main", "binance", credentials())
    plan, context = CutAt(label), contextvars.copy_context()
    context.run(crash.PLAN.set, plan)
    with pytest.raises(PowerCut):
        context.run(store.rekey, Secret(OTHER), KeyInFile(path))
    assert plan.reached
    again = KeyStore.open(tmp_path, KeyInFile(path), ManualClock())
    assert texts(again.credentials("main"))[0] == API_KEY
    assert again.rekey(generate(os.urandom), KeyInFile(path)) == 1
    last = KeyStore.open(tmp_path, KeyInFile(path), ManualClock())
    assert texts(last.credentials("main"))[0] == API_KEY
    assert len(told(KeyInFile(path))) == 1


@pytest.mark.parametrize("label", key_file.CRASH_POINTS)
def test_a_change_without_a_file_leaves_one_of_two_keys_right(tmp_path: Path, label: str) -> None:
    """The old one or the new one opens everything; never neither, never a part."""
    store = store_in(tmp_path)
    store.add("main", "binance", credentials())
    context = contextvars.copy_context()
    context.run(crash.PLAN.set, CutAt(label))
    with pytest.raises(PowerCut):
        context.run(store.rekey, Secret(OTHER))
    opened = []
    for master in (MASTER, OTHER):
        try:
            opened.append(texts(store_in(tmp_path, master).credentials("main"))[0])
        except WrongMasterKeyError:
            continue
    assert opened == [API_KEY]


def test_a_disk_that_refuses_the_change_leaves_the_old_key_in_force(tmp_path: Path) -> None:
    """The store that is open goes on with it."""
    folder = tmp_path / "data"
    folder.mkdir()
    store = store_in(folder)
    store.add("main", "binance", credentials())
    blocked = folder / "keys.json.draft"
    blocked.mkdir()  # nothing can be drafted there
    with pytest.raises(KeyFileError):
        store.rekey(Secret(OTHER))
    assert texts(store.credentials("main"))[0] == API_KEY
    blocked.rmdir()
    store.add("second", "okx", credentials())
    assert len(store_in(folder).entries()) == 2


def test_a_key_that_was_told_has_nothing_to_settle() -> None:
    """A variable or a person is not written to."""
    source = GivenKey(Secret(MASTER), "MRMARKET_KEY")
    source.settle(0)
    assert told(source) == [MASTER]
