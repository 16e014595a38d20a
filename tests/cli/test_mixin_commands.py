"""`mrmarket mixin` against the sandbox: who the bot is, what it holds, and that a payment happens once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer

from mrmarket.cli.app import run
from mrmarket.cli.exit_codes import ExitCode
from mrmarket.partners.mixin.sandbox.config import USDT_POLYGON
from mrmarket.partners.mixin.sandbox.faults import MixinFault, MixinFaultKind
from mrmarket.partners.mixin.sandbox.server import MixinSandbox

ONE = 10**8


class MixinHouse:
    """A sandbox with a bot that holds 30 USDT in three coins, and a configuration that names it."""

    def __init__(self, folder: Path) -> None:
        self.sandbox = MixinSandbox(folder / "mixin.sqlite")
        self.bot = self.sandbox.enrol("bot")
        self.alice = self.sandbox.enrol("alice").app_id
        self.folder = folder / "data"
        self.config = folder / "market.toml"
        self.keystore = folder / "keystore.json"

    def write(self, *, spend: bool = True) -> None:
        """The files that a command reads."""
        self.folder.mkdir(exist_ok=True)
        told: dict[str, Any] = {
            "app_id": self.bot.app_id,
            "session_id": self.bot.session_id,
            "session_private_key": self.bot.session_seed.hex(),
            "server_public_key": self.bot.server_public_key,
            "spend_private_key": self.bot.spend_seed.hex() if spend else "",
        }
        self.keystore.write_bytes(msgspec.json.encode(told))
        self.keystore.chmod(0o600)
        self.config.write_text(
            f'[mixin]\nkeystore = "{self.keystore}"\nurl = "{self.sandbox.url}"\n'
            f'[[mixin.assets]]\ncode = "USDT-POLYGON"\nasset_id = "{USDT_POLYGON}"\n'
        )

    async def call(self, *arguments: str) -> int:
        """A command's exit status; the sandbox answers it meanwhile."""
        where = ["--data", str(self.folder), "--config", str(self.config)]
        return await asyncio.to_thread(run, ["mixin", *arguments, *where])

    def held(self, who: str) -> int:
        """What the ledger says."""
        return self.sandbox.ledger.held(who, USDT_POLYGON)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[MixinHouse]:
    """The sandbox on a free port."""
    made = MixinHouse(tmp_path)
    async with made.sandbox:
        for _ in range(3):
            made.sandbox.fund(made.bot.app_id, USDT_POLYGON, 10 * ONE)
        made.write()
        yield made


def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    """The one object on stdout."""
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    return json.loads(out)


def payment(house: MixinHouse, amount: str = "12.5", *more: str) -> list[str]:
    """A transfer to Alice."""
    return ["transfer", "--to", house.alice, "--asset", "USDT-POLYGON", "--amount", amount, *more]


async def test_the_bot_says_who_it_is(house: MixinHouse, capsys: pytest.CaptureFixture[str]) -> None:
    """Its id and what it holds of each configured asset; no key is printed, and no file made."""
    assert await house.call("whoami", "--json") == ExitCode.OK
    told = printed(capsys)
    assert (told["app_id"], told["can_spend"], told["url"]) == (house.bot.app_id, True, house.sandbox.url)
    assert told["assets"] == [
        {
            "code": "USDT-POLYGON",
            "asset_id": USDT_POLYGON,
            "spendable": "30",
            "bound": "0",
            "outputs": 3,
        }
    ]
    assert await house.call("whoami") == ExitCode.OK
    shown = capsys.readouterr().out
    assert house.bot.app_id in shown
    assert house.bot.spend_seed.hex() not in shown
    assert list(house.folder.iterdir()) == []


async def test_outputs_are_listed(house: MixinHouse, capsys: pytest.CaptureFixture[str]) -> None:
    """By asset and state, at most so many; an asset that is none is refused."""
    assert await house.call("outputs", "--json") == ExitCode.OK
    found = printed(capsys)["outputs"]
    assert [(each["amount"], each["state"], each["bound"]) for each in found] == [
        ("10", "unspent", False)
    ] * 3
    assert await house.call("outputs", "--asset", USDT_POLYGON, "--limit", "2", "--json") == ExitCode.OK
    assert len(printed(capsys)["outputs"]) == 2
    assert await house.call("outputs", "--state", "spent") == ExitCode.OK
    assert "no output that is spent" in capsys.readouterr().err
    assert await house.call("outputs", "--asset", "GOLD", "--json") == ExitCode.REFUSED
    assert "USDT-POLYGON" in printed(capsys)["error"]["message"]


async def test_a_dry_run_sends_nothing(house: MixinHouse, capsys: pytest.CaptureFixture[str]) -> None:
    """Coins, fee and request id of exactly what would be sent; nothing is kept either."""
    assert await house.call(*payment(house, "12.5", "--dry-run", "--json")) == ExitCode.OK
    dry = printed(capsys)
    assert (dry["dry_run"], dry["amount"], dry["fee"], len(dry["coins"])) == (True, "12.5", None, 3)
    assert house.held(house.alice) == 0
    assert list(house.folder.iterdir()) == []
    assert await house.call(*payment(house, "12.5", "--yes", "--json")) == ExitCode.OK
    sent = printed(capsys)
    assert (sent["key"], sent["request_id"]) == (dry["key"], dry["request_id"])


async def test_the_same_payment_is_paid_once(house: MixinHouse, capsys: pytest.CaptureFixture[str]) -> None:
    """Asked for three times; another key pays again, and another amount is another payment."""
    for _ in range(3):
        assert await house.call(*payment(house, "5", "--yes")) == ExitCode.OK
    assert "done" in capsys.readouterr().out
    assert house.held(house.alice) == 5 * ONE
    assert await house.call(*payment(house, "5", "--yes", "--key", "january")) == ExitCode.OK
    assert house.held(house.alice) == 10 * ONE
    assert await house.call(*payment(house, "1", "--yes", "--key", "january", "--json")) == ExitCode.REFUSED
    assert "mixin_conflict" in capsys.readouterr().out


async def test_a_lost_answer_is_asked_for_again(
    house: MixinHouse, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command ends with status 3 and says how to go on; the same command finds the payment."""
    house.sandbox.break_things(MixinFault(MixinFaultKind.LOST_AFTER, "POST /safe/transactions", times=1))
    assert await house.call(*payment(house, "5", "--yes", "--json")) == ExitCode.UNAVAILABLE
    assert printed(capsys)["error"]["code"] == "mixin_unclear"
    assert await house.call(*payment(house, "5", "--yes", "--json")) == ExitCode.OK
    assert printed(capsys)["stage"] == "done"
    assert house.held(house.alice) == 5 * ONE


async def test_what_cannot_be_paid_is_refused_before_anything(
    house: MixinHouse, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No receiver, ourselves, no amount, nobody to ask, too much, and a keystore that cannot spend."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    wrong = [
        ["transfer", "--to", "somebody", "--asset", "USDT-POLYGON", "--amount", "1", "--yes"],
        ["transfer", "--to", house.bot.app_id, "--asset", "USDT-POLYGON", "--amount", "1", "--yes"],
        payment(house, "-1", "--yes"),
        payment(house, "0", "--yes"),
        payment(house, "0.000000001", "--yes"),
        payment(house, "1"),
        payment(house, "1", "--yes", "--memo", "x" * 600),
    ]
    for arguments in wrong:
        assert await house.call(*arguments, "--json") == ExitCode.REFUSED
        assert printed(capsys)["error"]["code"] in {"invalid_input", "invalid_amount"}
    assert await house.call(*payment(house, "31", "--dry-run", "--json")) == ExitCode.REFUSED
    assert printed(capsys)["error"]["code"] == "mixin_short"
    house.write(spend=False)
    assert await house.call(*payment(house, "1", "--yes", "--json")) == ExitCode.REFUSED
    assert printed(capsys)["error"]["code"] == "mixin_keystore"
    assert house.held(house.alice) == 0


async def test_without_a_bot_it_says_what_to_configure(
    house: MixinHouse, capsys: pytest.CaptureFixture[str]
) -> None:
    """No section, no file, a file that others may read."""
    house.keystore.chmod(0o644)
    assert await house.call("whoami", "--json") == ExitCode.REFUSED
    assert printed(capsys)["error"]["code"] == "partner_secret_missing"
    house.keystore.unlink()
    assert await house.call("whoami", "--json") == ExitCode.REFUSED
    assert "no such file" in printed(capsys)["error"]["message"]
    house.config.write_text("")
    assert await house.call("whoami", "--json") == ExitCode.REFUSED
    assert printed(capsys)["error"]["code"] == "partner_off"


async def test_coins_of_a_payment_under_way_are_marked(
    house: MixinHouse, capsys: pytest.CaptureFixture[str]
) -> None:
    """Signed and not taken: the outputs are bound, and are not counted as spendable."""
    house.sandbox.break_things(MixinFault(MixinFaultKind.LOST_BEFORE, "POST /safe/transactions", times=1))
    assert await house.call(*payment(house, "5", "--yes")) == ExitCode.UNAVAILABLE
    capsys.readouterr()
    assert await house.call("outputs", "--json") == ExitCode.OK
    assert {each["bound"] for each in printed(capsys)["outputs"]} == {True}
    assert await house.call("whoami", "--json") == ExitCode.OK
    (held,) = printed(capsys)["assets"]
    assert (held["spendable"], held["bound"]) == ("0", "30")
    assert await house.call(*payment(house, "5", "--yes")) == ExitCode.OK
    assert house.held(house.alice) == 5 * ONE


async def test_a_person_is_asked_before_anything_is_sent(
    house: MixinHouse, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the key that names the payment; a no sends nothing."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    answers = iter([False, True])

    def answered(text: str, **_: object) -> bool:
        if not next(answers):
            raise typer.Abort
        return "5 USDT-POLYGON" in text

    monkeypatch.setattr("typer.confirm", answered)
    assert await house.call(*payment(house, "5")) == ExitCode.INTERRUPTED
    assert house.held(house.alice) == 0
    assert await house.call(*payment(house, "5")) == ExitCode.OK
    assert house.held(house.alice) == 5 * ONE
    assert "Its key is manual:" in capsys.readouterr().err


async def test_doctor_looks_at_the_bot(house: MixinHouse, capsys: pytest.CaptureFixture[str]) -> None:
    """A keystore that cannot pay, one that is missing, and a Mixin that is not there."""

    async def findings() -> dict[str, tuple[str, str]]:
        arguments = ["doctor", "--data", str(house.folder), "--config", str(house.config), "--json"]
        await asyncio.to_thread(run, arguments)
        found = printed(capsys)["findings"]
        return {each["check"]: (each["result"], each["found"]) for each in found}

    well = await findings()
    assert well["mixin keystore"] == ("ok", house.bot.app_id)
    assert well["mixin"][0] == "ok"
    house.write(spend=False)
    assert (await findings())["mixin keystore"][0] == "fail"
    house.config.write_text(house.config.read_text().replace(house.sandbox.url, "http://127.0.0.1:9"))
    assert (await findings())["mixin"][0] == "fail"
    house.keystore.unlink()
    assert "no such file" in (await findings())["mixin keystore"][1]
