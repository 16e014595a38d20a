"""`mrmarket vault`, and what `doctor` says of partners, against a node of our own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from campaigns.campaign_stage import CHAIN
from cli.campaign_folder import TOKEN, Lived, copy_of, live
from cli.node_stub import NodeStub, served_node
from mrmarket.cli.app import run
from mrmarket.cli.exit_codes import ExitCode
from mrmarket.services.access.owner_token import FILE
from mrmarket.services.data_directory import DataDirectory
from services.doors import Door
from services.partners_fake import FakePartners
from services.test_remote import served

KEY = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
ACCOUNT = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"
DESTINATION = "0x" + "44" * 20


@dataclass(frozen=True, slots=True)
class VaultHouse:
    """A folder, a node and a configuration of both."""

    folder: Path
    config: Path
    node: NodeStub

    def write(self, *, limit: str = "1000", destinations: bool = True) -> None:
        """The configuration."""
        allowed = f'destinations = ["{DESTINATION}"]\n' if destinations else ""
        self.config.write_text(
            f"[vault]\n{allowed}limits = {{ HMT = {limit} }}\n"
            f'[[chains]]\nname = "local"\nchain_id = {CHAIN}\nurls = ["{self.node.url}"]\n'
            "max_fee_per_gas_wei = 2000000000\n"
            f'tokens = [{{ code = "HMT", address = "{TOKEN}", decimals = 18 }}]\n'
        )

    def call(self, *arguments: str) -> int:
        """A command's exit status."""
        return run([*arguments, "--data", str(self.folder), "--config", str(self.config)])


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    """A folder with five tokens that wait in the vault."""
    return live(tmp_path_factory.mktemp("lived") / "data")


@pytest.fixture
def house(lived: Lived, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[VaultHouse]:
    """All of it, with the vault's key in the environment."""
    monkeypatch.setenv("MRMARKET_VAULT_KEY", KEY)
    monkeypatch.delenv("MRMARKET_MIXIN_KEYSTORE", raising=False)
    with served_node() as node:
        made = VaultHouse(copy_of(lived, tmp_path / "data"), tmp_path / "market.toml", node)
        made.write()
        yield made


def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    """The one object on stdout; no key is on either stream."""
    captured = capsys.readouterr()
    assert KEY not in captured.out + captured.err
    return json.loads(captured.out.splitlines()[-1])  # the server of a test may log before it


def test_the_vault_shows_gas_tokens_limits_and_what_waits(
    house: VaultHouse, capsys: pytest.CaptureFixture[str]
) -> None:
    """In whole coins and tokens; nothing is sent, and no file is made."""
    before = sorted(file.name for file in house.folder.iterdir())
    assert house.call("vault", "status", "--json") == ExitCode.OK
    told = printed(capsys)
    (chain,), (vault,) = told["chains"], told["vaults"]
    assert (chain["name"], chain["head"], chain["read"]) == ("local", 100, None)
    assert (vault["account"], vault["coins"], vault["pending"]) == (ACCOUNT, "1", 0)
    (token,) = vault["tokens"]
    assert (token["balance"], token["waiting"], token["limit"], token["spent"]) == ("100", "5", "1000", "0")
    assert "eth_sendRawTransaction" not in house.node.asked
    assert sorted(file.name for file in house.folder.iterdir()) == before
    assert house.call("vault", "status") == ExitCode.OK
    shown = capsys.readouterr().out
    assert all(word in shown for word in (ACCOUNT, "local", "HMT", DESTINATION))


def test_a_silent_node_is_shown_and_fails_the_check(
    house: VaultHouse, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the reason; what is known without it is still shown."""
    house.config.write_text(house.config.read_text().replace(house.node.url, "http://127.0.0.1:9"))
    assert house.call("vault", "status", "--json") == ExitCode.CHECK_FAILED
    told = printed(capsys)
    assert (told["ok"], told["chains"][0]["head"]) == (False, None)
    assert told["vaults"][0]["tokens"][0]["waiting"] == "5"


def test_a_node_of_another_chain_is_not_believed(
    house: VaultHouse, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither by the status nor by a dry run."""
    house.node.chain_id = 1
    assert house.call("vault", "status", "--json") == ExitCode.CHECK_FAILED
    assert "1338" in printed(capsys)["chains"][0]["problem"]
    assert house.call("vault", "sweep", "--dry-run", "--json") == ExitCode.CHECK_FAILED
    assert "1338" in printed(capsys)["sweeps"][0]["problem"]


def test_a_dry_run_says_what_would_be_sent(house: VaultHouse, capsys: pytest.CaptureFixture[str]) -> None:
    """Amount, destination, nonce, gas and its most; nothing is signed or reserved."""
    assert house.call("vault", "sweep", "--dry-run", "--json") == ExitCode.OK
    (trial,) = printed(capsys)["sweeps"]
    assert (trial["amount"], trial["payouts"], trial["destination"]) == ("5", 1, DESTINATION)
    assert (trial["nonce"], trial["gas"]) == (4, 60_000)
    assert trial["problem"] == ""
    assert "eth_sendRawTransaction" not in house.node.asked
    assert not (house.folder / "chains.db").exists()
    assert house.call("vault", "sweep", "--dry-run") == ExitCode.OK
    assert "Nothing was signed or sent" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "node", "words"),
    [
        ({"limit": "1"}, {}, "limit"),
        ({"destinations": False}, {}, "no destination is known"),
        ({}, {"coins_wei": 0}, "coin"),
        ({}, {"token_units": 0}, "token"),
        ({}, {"base_fee_wei": 10**12}, "gas"),
        ({}, {"refusal": "execution reverted: paused"}, "paused"),
    ],
)
def test_a_dry_run_says_why_nothing_would_be_sent(
    house: VaultHouse,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, Any],
    node: dict[str, Any],
    words: str,
) -> None:
    """By limit, destination, gas, token, price and the contract's own word; exit status 1."""
    house.write(**changes)
    for name, value in node.items():
        setattr(house.node, name, value)
    assert house.call("vault", "sweep", "--dry-run", "--json") == ExitCode.CHECK_FAILED
    (trial,) = printed(capsys)["sweeps"]
    assert words in trial["problem"]


def test_what_is_not_configured_is_refused_in_one_line(
    house: VaultHouse, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No chain, another chain than the one that pays, and no key."""
    monkeypatch.delenv("MRMARKET_VAULT_KEY")
    assert house.call("vault", "status", "--json") == ExitCode.REFUSED
    assert "MRMARKET_VAULT_KEY" in printed(capsys)["error"]["message"]
    monkeypatch.setenv("MRMARKET_VAULT_KEY", KEY)
    house.config.write_text(house.config.read_text().replace(f"chain_id = {CHAIN}", "chain_id = 5"))
    assert house.call("vault", "sweep", "--dry-run", "--json") == ExitCode.CHECK_FAILED
    assert "[[chains]]" in printed(capsys)["sweeps"][0]["problem"]
    house.config.write_text("")
    assert house.call("vault", "status", "--json") == ExitCode.REFUSED
    assert printed(capsys)["error"]["code"] == "partner_off"


def test_a_sweep_is_the_running_instances(house: VaultHouse, capsys: pytest.CaptureFixture[str]) -> None:
    """Without one nothing moves; with one it is asked."""
    assert house.call("vault", "sweep", "--json") == ExitCode.UNAVAILABLE
    assert printed(capsys)["error"]["code"] == "not_running"
    partners = FakePartners()
    with served(Door(partners=partners).app) as url:
        DataDirectory(house.folder).announce(url)
        (house.folder / FILE).write_text("the-owners-token")
        assert house.call("vault", "sweep", "--json") == ExitCode.OK
        assert set(printed(capsys)) == {"plans", "under_way"}
        assert house.call("vault", "sweep") == ExitCode.OK
    assert len(partners.asked) == 2


def test_a_shell_without_the_key_asks_the_running_instance(
    house: VaultHouse, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it knows of the vault is shown."""
    monkeypatch.delenv("MRMARKET_VAULT_KEY")
    with served(Door(partners=FakePartners()).app) as url:
        DataDirectory(house.folder).announce(url)
        (house.folder / FILE).write_text("the-owners-token")
        assert house.call("vault", "status", "--json") == ExitCode.OK
    told = printed(capsys)
    assert (told["chains"][0]["head"], told["vaults"][0]["next_nonce"]) == (20_412, 7)


def test_a_dry_run_goes_where_mixin_said(house: VaultHouse, capsys: pytest.CaptureFixture[str]) -> None:
    """The address that was told first; where the allow-list does not have it, it is refused."""
    told = "0x" + "77" * 20
    known = house.folder / "destinations.json"
    known.write_text(json.dumps({f"{CHAIN}:{TOKEN}": told}))
    known.chmod(0o600)
    assert house.call("vault", "sweep", "--dry-run", "--json") == ExitCode.CHECK_FAILED
    (trial,) = printed(capsys)["sweeps"]
    assert (trial["destination"], "not on the allow-list" in trial["problem"]) == (told, True)
    house.write(destinations=False)
    assert house.call("vault", "sweep", "--dry-run", "--json") == ExitCode.OK
    assert printed(capsys)["sweeps"][0]["destination"] == told


def test_doctor_looks_at_keys_nodes_and_gas(house: VaultHouse, capsys: pytest.CaptureFixture[str]) -> None:
    """What is well, what is short, and what is missing, each with a next step."""

    def findings() -> dict[str, tuple[str, str, str]]:
        house.call("doctor", "--json")
        found = printed(capsys)["findings"]
        return {each["check"]: (each["result"], each["found"], each["next_step"]) for each in found}

    well = findings()
    assert (well["vault key"][:2], well["vault limits"][0]) == (("ok", ACCOUNT), "ok")
    assert well["chain local"][:2] == ("ok", "block 100, 1 for gas")
    house.node.coins_wei = 10**12
    assert findings()["chain local"][0] == "warn"
    house.node.coins_wei = 0
    assert (findings()["chain local"][0], ACCOUNT in findings()["chain local"][2]) == ("fail", True)
    silent = house.config.read_text()
    house.config.write_text(silent.replace(house.node.url, "http://127.0.0.1:9"))
    assert findings()["chain local"][0] == "fail"
    house.config.write_text(silent.replace("HMT = 1000", ""))
    assert findings()["vault limits"][0] == "warn"
    key = house.folder.parent / "vault.json"
    key.write_text("{}")
    key.chmod(0o644)
    house.config.write_text(house.config.read_text().replace("[vault]", f'[vault]\nkey_file = "{key}"'))
    assert findings()["vault key"][2] == f"chmod 600 {key}"
    house.config.write_text("")
    assert findings()["partners"] == ("ok", "none configured", "")


def test_a_new_key_is_encrypted_and_never_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only its owner may read the file; it is not written over, and needs a password."""
    file = tmp_path / "vault.json"
    monkeypatch.delenv("MRMARKET_VAULT_PASSWORD", raising=False)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    assert run(["vault", "new-key", str(file), "--json"]) == ExitCode.REFUSED
    assert printed(capsys)["error"]["code"] == "partner_secret_missing"
    monkeypatch.setenv("MRMARKET_VAULT_PASSWORD", "correct horse")
    assert run(["vault", "new-key", str(file), "--json"]) == ExitCode.OK
    told = printed(capsys)
    assert (len(told["address"]), file.stat().st_mode & 0o777) == (42, 0o600)
    assert json.loads(file.read_bytes())["version"] == 3
    content = file.read_bytes()
    assert run(["vault", "new-key", str(file), "--json"]) == ExitCode.REFUSED
    assert printed(capsys)["error"]["code"] == "signer_refused"
    assert file.read_bytes() == content
