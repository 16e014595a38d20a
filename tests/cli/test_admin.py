"""`mrmarket admin password`, and what a start says about it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from mrmarket.cli.app import run
from mrmarket.cli.exit_codes import ExitCode
from mrmarket.services.access.configured import access_settings
from mrmarket.services.access.password import Passwords
from mrmarket.services.access.repository import ControlStore, SessionRow
from mrmarket.services.access.settings import AccessSettings, Rates
from mrmarket.services.config import ConfigError, load_config

PASSWORD = "correct horse battery staple"


def given(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """What somebody pipes in."""
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_a_password_is_set_and_the_owners_sessions_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only its hash is kept; the owner's sessions and set-up links are over, users' sessions stay."""
    store = ControlStore.open(tmp_path / "control.db")
    store.add(SessionRow("a" * 64, "admin", "", 1, 1), None)
    store.add(SessionRow("b" * 64, "user", "bob", 1, 1), None)
    store.put_credential("setup", "hash", 1, 2**50)
    given(monkeypatch, f"{PASSWORD}\n")
    assert run(["admin", "password", "--stdin", "--data", str(tmp_path), "--json"]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out) == {"password_set": True}
    hashed = store.credential("password", 0)
    assert hashed is not None
    assert PASSWORD not in hashed
    assert Passwords().check(hashed, PASSWORD)
    assert store.credential("setup", 0) is None
    assert [row.account for row in store.sessions()] == ["bob"]
    store.close()


@pytest.mark.parametrize("text", ["", "short\n", "aaaaaaaaaaaaaaa\n"])
def test_an_easy_password_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    """Exit status 2, a sentence that does not repeat it, and no file."""
    given(monkeypatch, text)
    assert run(["admin", "password", "--stdin", "--data", str(tmp_path)]) == ExitCode.REFUSED
    said = capsys.readouterr()
    assert "password was refused" in said.err
    assert not text.strip() or text.strip() not in said.err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A misspelt --data is told, before anybody types a password."""
    given(monkeypatch, f"{PASSWORD}\n")
    assert run(["admin", "password", "--stdin", "--data", str(tmp_path / "none")]) == ExitCode.DATA
    assert "no such folder" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("text", "demo", "open_desk"),
    [
        ("", True, True),
        ('[venue]\nexchange = "binance"\n', False, False),
        ('[venue]\nexchange = "binance"\npaper = true\n', True, True),
        ('[rail]\nkind = "none"\n', False, True),
        ("[api]\nopen_desk = false\n", True, False),
        ('[venue]\nexchange = "binance"\n[api]\nopen_desk = true\n', False, True),
    ],
)
def test_doors_are_open_where_money_is_simulated(
    tmp_path: Path, text: str, demo: bool, open_desk: bool
) -> None:
    """Demo people and an open desk come with play money; the desk can be opened or closed on purpose."""
    file = tmp_path / "market.toml"
    file.write_text(text)
    settings = access_settings(load_config(file, {}).config)
    assert (settings.demo, settings.open_desk) == (demo, open_desk)


def test_the_defaults_are_the_documented_ones() -> None:
    """Rates and chains of the configuration are those of the code."""
    settings = access_settings(load_config(None, {}).config)
    assert settings.rates == Rates()
    assert settings.chain_ids == AccessSettings().chain_ids


@pytest.mark.parametrize("url", ["market.example", "https://market.example/path", "ftp://x", "https://a b"])
def test_a_public_address_is_a_site(tmp_path: Path, url: str) -> None:
    """A path, another protocol or no protocol is refused with what to give."""
    file = tmp_path / "market.toml"
    file.write_text(f'[api]\npublic_url = "{url}"\n')
    with pytest.raises(ConfigError, match=r"such as https://market\.example"):
        load_config(file, {})
