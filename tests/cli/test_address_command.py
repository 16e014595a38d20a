"""`mrmarket address derive`: where the seed may come from, and that it is never shown."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from mrmarket.cli.app import run
from mrmarket.cli.exit_codes import ExitCode

SEED = "01" * 32
WORDS = " ".join(["abandon"] * 11 + ["about"])
ETHEREUM = "0x93CBbd94D08880c0Fa06755a758B0b04B4D4Ee2c"
KEY = "603ad874ff488512"
DERIVE = ["address", "derive", "--scope", "wallet", "--user", "default", "--index", "0"]


@pytest.fixture(autouse=True)
def nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """No terminal and no variable, unless a test gives one."""
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    monkeypatch.delenv("MRMARKET_SEED", raising=False)


def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    """The one object on stdout; neither stream holds a seed or private key."""
    captured = capsys.readouterr()
    assert not any(text in captured.out + captured.err for text in (SEED, WORDS, KEY))
    return json.loads(captured.out)


def kept(folder: Path, text: str) -> Path:
    """A file of its owner alone."""
    path = folder / "seed"
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_the_seed_may_come_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The address, the public key and the name come back; what nobody can spend from is marked."""
    path = kept(tmp_path, SEED + "\n")
    assert run([*DERIVE, "--chain", "ethereum", "--seed-file", str(path), "--json"]) == ExitCode.OK
    answer = printed(capsys)
    assert (answer["address"], answer["name"]) == (ETHEREUM, "wallet:default:ethereum:0")
    assert answer["never_use"].lower() == "0x4c2fa1c787c680dd24902be48073912e099b65d0"


def test_the_seed_may_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """For people: a table, and the warning beside it."""
    monkeypatch.setenv("MRMARKET_SEED", SEED)
    assert run([*DERIVE, "--chain", "ethereum"]) == ExitCode.OK
    shown = capsys.readouterr()
    assert ETHEREUM in shown.out
    assert "never pay there" in shown.err
    assert SEED not in shown.out + shown.err
    assert run([*DERIVE, "--chain", "solana"]) == ExitCode.OK
    assert "never pay there" not in capsys.readouterr().err


def test_the_seed_may_be_typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """On a terminal it is asked for, unseen."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.prompt", lambda *_, **options: SEED if options["hide_input"] else "")
    assert run([*DERIVE, "--chain", "ethereum", "--json"]) == ExitCode.OK
    assert printed(capsys)["address"] == ETHEREUM


def test_words_give_what_a_wallet_shows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """BIP-44 takes words and a number, and no scope or user."""
    monkeypatch.setenv("MRMARKET_SEED", WORDS)
    bip44 = ["address", "derive", "--scheme", "bip44", "--chain", "ethereum", "--index"]
    assert run([*bip44, "0", "--json"]) == ExitCode.OK
    answer = printed(capsys)
    assert (answer["name"], answer["address"]) == (
        "m/44'/60'/0'/0/0",
        "0x9858EfFD232B4033E47d90003D41EC34EcaEda94",
    )
    assert run([*bip44, "first", "--json"]) == ExitCode.REFUSED
    assert printed(capsys)["error"]["code"] == "invalid_input"
    assert run([*bip44, "0", "--user", "ann", "--json"]) == ExitCode.REFUSED
    assert printed(capsys)["error"]["code"] == "invalid_input"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--chain", "ethereum"], "seed_missing"),
        (["--chain", "eos"], "unknown_chain"),
        (["--chain", "near"], "chain_refused"),
        (["--chain", "ethereum", "--scheme", "evm-v1"], "chain_refused"),
        (["--chain", "ethereum", "--scheme", "magic"], "invalid_input"),
        (["--chain", "ethereum", "--user", "a:b"], "name_field_refused"),
        (["--chain", "ethereum", "--user", ""], "name_field_refused"),
        (["--chain", "ethereum", "--seed-file", "/nowhere/seed"], "keys_file_refused"),
    ],
)
def test_refusals_have_a_code_and_come_before_the_seed(
    options: list[str], code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each is one error object; nobody is asked for a seed in vain."""
    assert run([*DERIVE, *options, "--json"]) != ExitCode.OK
    assert printed(capsys)["error"]["code"] == code


@pytest.mark.parametrize("content", [SEED[:-2], WORDS, "", "\udcff"])
def test_a_file_that_holds_no_seed_is_refused_unseen(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Too short, words where digits belong, nothing, no text."""
    path = kept(tmp_path, "")
    path.write_bytes(content.encode(errors="surrogateescape"))
    assert run([*DERIVE, "--chain", "sui", "--seed-file", str(path), "--json"]) == ExitCode.REFUSED
    assert printed(capsys)["error"]["code"] == "seed_refused"


def test_a_file_that_others_may_read_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As with the exchange keys, it must be its owner's alone."""
    path = kept(tmp_path, SEED)
    path.chmod(0o644)
    assert run([*DERIVE, "--chain", "sui", "--seed-file", str(path), "--json"]) == ExitCode.DATA
    assert printed(capsys)["error"]["code"] == "keys_exposed"


def test_the_seed_is_no_option(capsys: pytest.CaptureFixture[str]) -> None:
    """A command line is seen by every user of the machine."""
    assert run([*DERIVE, "--chain", "sui", "--seed", SEED]) == ExitCode.REFUSED
    assert "--seed" in capsys.readouterr().err
