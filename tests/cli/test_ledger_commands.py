"""The books on the command line: read, sealed, proved, exported and held against what is there."""

from __future__ import annotations

import csv
import io
import json
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from money.ledger_samples import ALICE, BOB, BTC, WORLD, ask, deposit, move, opened
from mrmarket.cli.app import run
from mrmarket.cli.exit_codes import ExitCode
from mrmarket.money.ledger.group import Group
from mrmarket.money.ledger.ledger import Ledger
from mrmarket.money.ledger.sqlite_store import SqliteStore
from mrmarket.money.solvency.repository import Observation
from mrmarket.money.solvency.watch import observe
from mrmarket.services.data_directory import DataDirectory

AT_MS = 1_700_000_000_000


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The folder of a stopped instance: two deposits, a payment, a rejection."""
    folder = tmp_path / "data"
    folder.mkdir()
    ledger: Ledger = opened(SqliteStore.open(folder / "money.db", "test"))
    ask(ledger, deposit("a", 10_000))
    ask(ledger, Group("b", (move(ALICE, BOB, 2_500), move(WORLD, BOB, 7, BTC)), memo="lunch"))
    ask(ledger, Group("c", (move(ALICE, BOB, 10**9),)))
    ledger.close()
    return folder


def call(capsys: pytest.CaptureFixture[str], data: Path | None, *arguments: str, status: int = 0) -> str:
    """What a command prints."""
    where = [] if data is None else ["--data", str(data)]
    assert run([*arguments, *where]) == status
    return capsys.readouterr().out


def parsed(capsys: pytest.CaptureFixture[str], data: Path | None, *arguments: str, status: int = 0) -> Any:
    """The one object that a command prints."""
    out = call(capsys, data, *arguments, "--json", status=status)
    assert out.count("\n") == 1
    return json.loads(out)


def test_verify_prints_what_was_promised(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exactly six keys; exit status 1 once a row was altered, and the folder is as it was."""
    before = sorted(file.name for file in data.iterdir())
    assert parsed(capsys, data, "ledger", "verify") == {
        "ok": True,
        "groups": 4,
        "entries": 6,
        "first_bad_seq": None,
        "reason": None,
        "assets": {"sim:BTC": "0", "sim:USD": "0"},
    }
    assert "sum of sim:USD" in call(capsys, data, "ledger", "verify")
    assert sorted(file.name for file in data.iterdir()) == before
    content = (data / "money.db").read_bytes()
    (data / "money.db").write_bytes(content.replace(b"lunch", b"munch"))
    broken = parsed(capsys, data, "ledger", "verify", status=ExitCode.CHECK_FAILED)
    assert (broken["ok"], broken["first_bad_seq"]) == (False, 3)


def test_groups_are_shown_by_number_key_and_account(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The newest first; a rejected one with its reason."""
    one = parsed(capsys, data, "ledger", "show", "b")
    assert one == parsed(capsys, data, "ledger", "show", "3")
    assert (one["memo"], one["transfers"][0]["amount"], len(one["hash"])) == ("lunch", "25", 64)
    listed = parsed(capsys, data, "ledger", "show", "--limit", "2")["groups"]
    assert [group["seq"] for group in listed] == [4, 3]
    assert listed[0]["outcome"] == "insufficient_funds"
    bobs = parsed(capsys, data, "ledger", "show", "--account", "bob", "--asset", BTC.id)["groups"]
    assert [group["key"] for group in bobs] == ["b"]
    assert "lunch" in call(capsys, data, "ledger", "show", "b")
    assert "insufficient_funds" in call(capsys, data, "ledger", "show")
    assert (
        parsed(capsys, data, "ledger", "show", "zzz", status=ExitCode.REFUSED)["error"]["code"]
        == "invalid_input"
    )


def test_a_seal_is_made_proved_and_checked(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every step of the way, with nothing but files in between."""
    refused = parsed(capsys, data, "ledger", "prove", "alice", status=ExitCode.REFUSED)
    assert "mrmarket ledger seal" in refused["error"]["message"]
    assert not (data / "seal.key").exists()
    kept = tmp_path / "kept.json"
    sealed = parsed(capsys, data, "ledger", "seal", "--out", str(kept))
    key = sealed["document"]["public_key"]
    assert {asset["id"]: asset["sum"] for asset in sealed["document"]["assets"]} == {
        "sim:BTC": "7",
        "sim:USD": "10000",
    }
    proof = tmp_path / "proof.json"
    assert parsed(capsys, data, "ledger", "prove", "alice", "--out", str(proof))["claims"] == 1
    assert json.loads(call(capsys, data, "ledger", "prove", "alice"))["account"] == ALICE.id
    checked = parsed(
        capsys, None, "ledger", "check-proof", str(proof), "--public-key", key, "--seal", str(kept)
    )
    assert checked["ok"] is True
    assert checked["result"]["claims"] == [
        {"account": ALICE.id, "asset": "sim:USD", "units": "7500", "amount": "75", "total": "100"}
    ]
    assert "75 of 100" in call(capsys, None, "ledger", "check-proof", str(proof))
    assert parsed(capsys, data, "ledger", "verify", "--seal", str(kept))["ok"] is True
    assert parsed(capsys, data, "ledger", "verify", "--seal", str(proof))["ok"] is True


def test_a_wrong_proof_is_one_line_and_status_1(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another amount, another key, no proof at all."""
    call(capsys, data, "ledger", "seal")
    proof = tmp_path / "proof.json"
    call(capsys, data, "ledger", "prove", "alice", "--out", str(proof))
    sound = proof.read_text()
    for content, options in (
        (sound.replace('"7500"', '"7501"'), []),
        (sound, ["--public-key", "00" * 32]),
        ("[]", []),
        ("\x00", []),
    ):
        proof.write_text(content)
        assert run(["ledger", "check-proof", str(proof), *options]) == ExitCode.CHECK_FAILED
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.count("\n") == 1
        assert "does not hold" in said.err
    error = parsed(capsys, None, "ledger", "check-proof", str(proof), status=ExitCode.CHECK_FAILED)["error"]
    assert error["code"] == "proof_refused"
    assert parsed(capsys, None, "ledger", "check-proof", str(tmp_path / "no"), status=ExitCode.REFUSED)


def test_a_ledger_that_lost_a_published_seal_is_found(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Books cut off together with their seals are sound in themselves; a kept seal shows it."""
    before = (data / "money.db").read_bytes()
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    call(capsys, data, "ledger", "seal", "--out", str(first))
    (data / "money.db").write_bytes(before)
    lost = parsed(capsys, data, "ledger", "verify", "--seal", str(first), status=ExitCode.CHECK_FAILED)
    assert lost["reason"] == "seal 1 is missing"
    call(capsys, data, "ledger", "seal", "--out", str(second))
    other = parsed(capsys, data, "ledger", "verify", "--seal", str(first), status=ExitCode.CHECK_FAILED)
    assert other["reason"] == "seal 1 is not the one in first.json"


def test_a_key_is_handed_over(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The next seal is the new key's, and the old key still leads to it."""
    first = parsed(capsys, data, "ledger", "seal", "--rotate")
    old, new = first["document"]["public_key"], first["next_key"]
    assert "next key" in call(capsys, data, "ledger", "seal", "--rotate")
    assert old != new
    proof = tmp_path / "proof.json"
    call(capsys, data, "ledger", "prove", "bob", "--out", str(proof))
    result = parsed(capsys, None, "ledger", "check-proof", str(proof), "--public-key", old)["result"]
    assert (result["seal"], result["public_key"]) == (3, new)
    assert parsed(capsys, data, "ledger", "verify")["ok"] is True


def test_a_running_instance_is_not_written_to(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It holds the folder and seals by itself; reading goes on."""
    with DataDirectory(data):
        error = parsed(capsys, data, "ledger", "seal", status=ExitCode.UNAVAILABLE)["error"]
        assert error["code"] == "instance_busy"
        assert parsed(capsys, data, "ledger", "verify")["ok"] is True


@pytest.mark.parametrize("form", ["csv", "beancount", "hledger"])
def test_the_books_are_exported_to_a_file_or_stdout(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    """The same text either way."""
    out = tmp_path / "books"
    said = parsed(capsys, data, "ledger", "export", "--format", form, "--out", str(out))
    assert (said["format"], said["groups"]) == (form, 4)
    assert out.read_text() == call(capsys, data, "ledger", "export", "--format", form)
    assert "lunch" in out.read_text()


def test_parquet_wants_a_file(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is nothing for a terminal."""
    parsed(capsys, data, "ledger", "export", "--format", "parquet", status=ExitCode.REFUSED)
    out = tmp_path / "books.parquet"
    call(capsys, data, "ledger", "export", "--format", "parquet", "--out", str(out))
    assert pl.read_parquet(out).height == 3
    parsed(capsys, data, "ledger", "export", "--out", str(tmp_path / "no" / "x"), status=ExitCode.REFUSED)


def test_a_statement_is_printed_three_ways(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One object, a table for spreadsheets, words; a period by date, ISO time or milliseconds."""
    drawn = parsed(capsys, data, "user", "statement", "alice")
    (usd,) = drawn["assets"]
    assert (usd["opening"], usd["received"], usd["given"], usd["closing"]) == ("0", "100", "25", "75")
    rows = list(csv.DictReader(io.StringIO(call(capsys, data, "user", "statement", "alice", "--csv"))))
    assert [row["balance"] for row in rows] == ["0", "100", "75", "75"]
    assert "-25" in call(capsys, data, "user", "statement", "alice")
    for start in ("2023-11-15", "2023-11-14T23:13:20+00:00", "2023-11-14T22:13:20.001Z", str(AT_MS + 1)):
        later = parsed(capsys, data, "user", "statement", "alice", "--start", start, "--end", "2023-11-16")
        assert (later["assets"][0]["opening"], later["assets"][0]["lines"]) == ("75", [])
    for wrong in (["--start", "soon"], ["--start", "2024-01-01", "--end", "2023-01-01"]):
        parsed(capsys, data, "user", "statement", "alice", *wrong, status=ExitCode.REFUSED)
    parsed(capsys, data, "user", "statement", "nobody", status=ExitCode.REFUSED)


def test_reconciling_compares_with_what_was_seen(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Unseen and differing assets fail the check, and matching ones pass it."""
    unseen = parsed(capsys, data, "reconcile", status=ExitCode.CHECK_FAILED)
    assert {line["standing"] for line in unseen["lines"]} == {"unseen"}
    ledger = Ledger(SqliteStore.open(data / "money.db", "test"), _clock())
    for units, status in ((10_000, ExitCode.OK), (9_999, ExitCode.CHECK_FAILED)):
        words = [
            Observation("sim", "USD", units, 2, AT_MS + 100_000 + 10_000 - units),
            Observation("sim", "BTC", 7, 8, AT_MS + 100_000),
        ]
        ledger.drain([partial(observe, observations=words)])
        found = parsed(capsys, data, "reconcile", status=status)
        assert found["ok"] is (status is ExitCode.OK)
    assert found["lines"][1]["difference"] == "-0.01"
    assert run(["reconcile", "--data", str(data)]) == ExitCode.CHECK_FAILED
    assert "sim lacks 1 units of sim:USD" in capsys.readouterr().err
    parsed(capsys, data, "reconcile", "--max-age", "1", status=ExitCode.CHECK_FAILED)
    ledger.close()


@pytest.mark.parametrize(
    "arguments",
    [
        ["ledger", "verify"],
        ["ledger", "show"],
        ["ledger", "prove", "alice"],
        ["ledger", "seal"],
        ["ledger", "export"],
        ["user", "statement", "alice"],
        ["reconcile"],
    ],
)
def test_a_folder_without_books_is_refused_and_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    """Nothing is made where nothing was."""
    missing = tmp_path / "missing"
    assert run([*arguments, "--data", str(missing)]) == ExitCode.REFUSED
    assert "does not exist" in capsys.readouterr().err
    assert not missing.exists()


def _clock() -> Any:
    from mrmarket.core.clock import ManualClock

    return ManualClock((AT_MS + 200_000) * 1_000_000)
