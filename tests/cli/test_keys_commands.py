"""`mrmarket keys`: what it asks for, what it prints, and what it never prints."""

from __future__ import annotations

import io
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from mrmarket.cli.app import run
from mrmarket.cli.exit_codes import ExitCode

KEY, SECRET, PHRASE = "the-key-itself", "the-secret-itself", "the-phrase-itself"
MASTER = "mmk1_" + "A" * 43


@pytest.fixture(autouse=True)
def master(monkeypatch: pytest.MonkeyPatch) -> None:
    """The master key is in the environment."""
    monkeypatch.setenv("MRMARKET_KEY", MASTER)


def typed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """What comes from standard input."""
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def add(monkeypatch: pytest.MonkeyPatch, data: Path, *options: str, name: str = "main") -> int:
    """Add a key from standard input without asking an exchange."""
    typed(monkeypatch, f"{KEY}\n{SECRET}\n{PHRASE}\n")
    return run(
        ["keys", "add", name, "--venue", "binance", "--stdin", "--unchecked", "--data", str(data), *options]
    )


def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    """The one object on stdout; nothing secret is on either stream."""
    captured = capsys.readouterr()
    assert not any(text in captured.out + captured.err for text in (KEY, SECRET, PHRASE, MASTER))
    return json.loads(captured.out) if captured.out else None


def test_a_key_is_kept_listed_and_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """None of the answers holds a secret, and nothing in the folder does."""
    data = tmp_path / "data"
    assert add(monkeypatch, data, "--json") == ExitCode.OK
    answer = printed(capsys)
    assert (answer["added"]["name"], len(answer["warnings"])) == ("main", 1)
    assert run(["keys", "list", "--data", str(data), "--json"]) == ExitCode.OK
    assert [key["venue"] for key in printed(capsys)["keys"]] == ["binance"]
    for path in data.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert not any(text in path.read_text() for text in (KEY, SECRET, PHRASE, MASTER))
    assert run(["keys", "remove", "main", "--data", str(data), "--json"]) == ExitCode.OK
    assert printed(capsys)["removed"]["name"] == "main"
    assert run(["keys", "list", "--data", str(data), "--json"]) == ExitCode.OK
    assert printed(capsys) == {"keys": []}


def test_for_people_it_is_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A table, and what to do next."""
    assert run(["keys", "list", "--data", str(tmp_path)]) == ExitCode.OK
    assert "mrmarket keys add" in capsys.readouterr().err
    assert add(monkeypatch, tmp_path) == ExitCode.OK
    said = capsys.readouterr().err
    assert "was not asked" in said
    assert '[venue] exchange = "binance", key = "main"' in said
    assert run(["keys", "list", "--data", str(tmp_path)]) == ExitCode.OK
    table = capsys.readouterr().out
    assert all(word in table for word in ("main", "binance", "not told", "never"))
    assert run(["keys", "rekey", "--data", str(tmp_path)]) == ExitCode.REFUSED
    assert "MRMARKET_KEY_NEW" in capsys.readouterr().err
    assert run(["keys", "remove", "main", "--data", str(tmp_path)]) == ExitCode.OK
    assert "Delete it at binance" in capsys.readouterr().err


def test_no_option_takes_a_secret(capsys: pytest.CaptureFixture[str]) -> None:
    """A command line is seen by everybody on the machine, and kept by shells."""
    for option in ("--secret", "--key", "--api-key", "--password"):
        assert run(["keys", "add", "main", "--venue", "binance", option, "x"]) == ExitCode.REFUSED
    assert "No such option" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    [
        "",
        "onlyone",
        "k\ns\np\nmore\n",
        '{"api_key": "k"}',
        '{"api_key": 1, "secret": 2}',
        "[" * 90_000,
        "{" * 9_000,
    ],
)
def test_a_wrong_input_is_one_line_without_the_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    """Nothing is kept."""
    typed(monkeypatch, text)
    arguments = [
        "keys",
        "add",
        "main",
        "--venue",
        "binance",
        "--stdin",
        "--unchecked",
        "--data",
        str(tmp_path),
    ]
    assert run([*arguments, "--json"]) == ExitCode.REFUSED
    assert printed(capsys)["error"]["code"] == "key_text_refused"
    assert not (tmp_path / "keys.json").exists()


def test_a_private_key_with_line_breaks_comes_as_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ed25519 and RSA keys are given in PEM form."""
    pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQ\n-----END PRIVATE KEY-----"
    typed(monkeypatch, json.dumps({"api_key": KEY, "secret": pem}))
    arguments = [
        "keys",
        "add",
        "main",
        "--venue",
        "binance",
        "--stdin",
        "--unchecked",
        "--data",
        str(tmp_path),
    ]
    assert run([*arguments, "--json"]) == ExitCode.OK
    printed(capsys)


def test_the_environment_gives_them_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the names in `[venue]`; what is not set is refused."""
    arguments = [
        "keys",
        "add",
        "main",
        "--venue",
        "binance",
        "--env",
        "--unchecked",
        "--data",
        str(tmp_path),
        "--json",
    ]
    assert run(arguments) == ExitCode.REFUSED
    printed(capsys)
    monkeypatch.setenv("MRMARKET_API_KEY", KEY)
    monkeypatch.setenv("MRMARKET_API_SECRET", SECRET)
    assert run(arguments) == ExitCode.OK
    printed(capsys)


def test_a_name_is_not_taken_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unless the old one is to make way."""
    assert add(monkeypatch, tmp_path, "--json") == ExitCode.OK
    printed(capsys)
    assert add(monkeypatch, tmp_path, "--json") == ExitCode.REFUSED
    assert printed(capsys)["error"]["code"] == "key_exists"
    assert add(monkeypatch, tmp_path, "--replace", "--json") == ExitCode.OK
    assert printed(capsys)["added"]["version"] == 2


def test_without_a_master_key_nothing_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where nobody can be asked, one line says how to give it."""
    monkeypatch.delenv("MRMARKET_KEY")
    assert add(monkeypatch, tmp_path, "--json") == ExitCode.REFUSED
    assert printed(capsys)["error"]["code"] == "master_key_missing"


def test_the_master_key_is_changed_by_variable_file_and_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """After each change the new one opens the store, and the old one does not."""
    data, path = tmp_path / "data", tmp_path / "master.key"
    assert add(monkeypatch, data, "--json") == ExitCode.OK
    monkeypatch.setenv("MRMARKET_KEY_NEW", "a passphrase of mine")
    assert run(["keys", "rekey", "--data", str(data), "--json"]) == ExitCode.OK
    monkeypatch.delenv("MRMARKET_KEY_NEW")
    capsys.readouterr()
    assert run(["keys", "remove", "nobody", "--data", str(data), "--json"]) == ExitCode.REFUSED
    assert printed(capsys)["error"]["code"] == "master_key_wrong"
    monkeypatch.setenv("MRMARKET_KEY", "a passphrase of mine")
    assert run(["keys", "new-master", str(path), "--json"]) == ExitCode.OK
    assert run(["keys", "new-master", str(path)]) == ExitCode.DATA
    assert run(["keys", "rekey", "--new-key-file", str(path), "--data", str(data)]) == ExitCode.OK
    monkeypatch.delenv("MRMARKET_KEY")
    config = tmp_path / "mrmarket.toml"
    config.write_text(f'[keys]\nkey_file = "{path}"\n')
    before = path.read_text()
    assert run(["keys", "rekey", "--config", str(config), "--data", str(data)]) == ExitCode.OK
    assert path.read_text() != before
    assert run(["keys", "remove", "main", "--config", str(config), "--data", str(data)]) == ExitCode.OK
    assert not any(text in capsys.readouterr().err for text in (before.strip(), path.read_text().strip()))


def test_a_folder_that_cannot_be_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file is in its place."""
    (tmp_path / "file").write_text("text")
    assert add(monkeypatch, tmp_path / "file", "--json") == ExitCode.DATA
    assert printed(capsys)["error"]["code"] == "data_folder_refused"


def test_an_exchange_that_nobody_knows_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The key is not kept, and not sent anywhere."""
    typed(monkeypatch, f"{KEY}\n{SECRET}\n")
    arguments = [
        "keys",
        "add",
        "main",
        "--venue",
        "nosuchplace",
        "--stdin",
        "--data",
        str(tmp_path),
        "--json",
    ]
    assert run(arguments) == ExitCode.REFUSED
    assert printed(capsys)["error"]["code"] == "unknown_exchange"
    assert not (tmp_path / "keys.json").exists()
