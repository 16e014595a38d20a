"""`mrmarket campaign` and `rewards trace` over the folder of an instance, with and without one running."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from cli.campaign_folder import ARRIVAL, ESCROW, OTHER, PAYOUT_TX, Lived, copy_of, live
from mrmarket.cli.app import run
from mrmarket.cli.exit_codes import ExitCode
from mrmarket.core.clock import NS_PER_MS, SystemClock
from mrmarket.core.events import Filled
from mrmarket.core.side import Side
from mrmarket.money.ledger.sqlite_store import SqliteStore
from mrmarket.services.access.owner_token import FILE
from mrmarket.services.data_directory import DataDirectory
from mrmarket.store.operations import RunSpec
from mrmarket.store.sqlite_operations import SqliteOperations
from mrmarket.store.trading_store import TradingStore
from services.doors import Door
from services.partners_fake import CAMPAIGN, FakePartners
from services.test_remote import served

CHEAP = ["--offline", "--price", "2"]


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    """A folder with two campaigns, two payouts, a transfer and a delivery."""
    return live(tmp_path_factory.mktemp("lived") / "data")


def call(capsys: pytest.CaptureFixture[str], data: Path, *arguments: str, status: int = 0) -> str:
    """What a command prints."""
    assert run([*arguments, "--data", str(data)]) == status
    return capsys.readouterr().out


def parsed(capsys: pytest.CaptureFixture[str], data: Path, *arguments: str, status: int = 0) -> Any:
    """The one object that a command prints."""
    out = call(capsys, data, *arguments, "--json", status=status)
    return json.loads(out.splitlines()[-1])  # the server of a test may log before it


def refusal(capsys: pytest.CaptureFixture[str], data: Path, *arguments: str, status: int = 2) -> Any:
    """Code and sentence of a refusal."""
    return parsed(capsys, data, *arguments, status=status)["error"]


def test_campaigns_are_listed_with_their_stage(lived: Lived, capsys: pytest.CaptureFixture[str]) -> None:
    """In whole tokens; by stage where that is asked for, and the folder is as it was."""
    before = sorted(file.name for file in lived.folder.iterdir())
    listed = parsed(capsys, lived.folder, "campaign", "list")["campaigns"]
    by_id = {each["id"]: each for each in listed}
    assert {name: each["stage"] for name, each in by_id.items()} == {
        CAMPAIGN: "active",
        f"hufi-1338-{OTHER}": "discovered",
    }
    assert (by_id[CAMPAIGN]["fund"], by_id[CAMPAIGN]["paid"], by_id[CAMPAIGN]["cycles"]) == ("900", "15", 3)
    assert by_id[f"hufi-1338-{OTHER}"]["reason"] == "it should leave -3.20 after its cost"
    wanted = parsed(capsys, lived.folder, "campaign", "list", "--stage", "active")["campaigns"]
    assert [each["id"] for each in wanted] == [CAMPAIGN]
    assert refusal(capsys, lived.folder, "campaign", "list", "--stage", "happy")["code"] == "invalid_input"
    assert "active" in call(capsys, lived.folder, "campaign", "list")
    assert sorted(file.name for file in lived.folder.iterdir()) == before


def test_a_campaign_is_shown_by_any_beginning_of_its_name(
    lived: Lived, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its id, its escrow, or a beginning that only it has; what means two or none is refused."""
    whole = parsed(capsys, lived.folder, "campaign", "show", CAMPAIGN)
    assert [step["event"] for step in whole["steps"]][:2] == ["discovered", "wanted"]
    assert [(one["cycle"], one["paid"]) for one in whole["outcomes"]] == [(0, "10"), (1, "5")]
    assert {one["state"] for one in whole["payouts"]} == {"arrived", "entered"}
    for name in (ESCROW, ESCROW.upper().replace("0X", "0x"), ESCROW[:12], CAMPAIGN[:20]):
        assert parsed(capsys, lived.folder, "campaign", "show", name)["id"] == CAMPAIGN
    assert "begins that of 2" in refusal(capsys, lived.folder, "campaign", "show", "0x3f5c")["message"]
    assert refusal(capsys, lived.folder, "campaign", "show", "0x3")["code"] == "campaign_unknown"
    assert refusal(capsys, lived.folder, "campaign", "show", "nothing")["code"] == "campaign_unknown"
    text = call(capsys, lived.folder, "campaign", "show", ESCROW)
    assert all(word in text for word in ("ETH/USDT on mexc", "discovered", "goal", PAYOUT_TX[:10]))


def test_a_folder_without_campaigns_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty list is an answer; a folder without a ledger is none."""
    SqliteStore.open(tmp_path / "money.db", "test").close()
    assert parsed(capsys, tmp_path, "campaign", "list") == {"campaigns": []}
    assert run(["campaign", "list", "--data", str(tmp_path)]) == 0
    assert "no campaign here" in capsys.readouterr().err
    missing = refusal(capsys, tmp_path / "none", "campaign", "list")
    assert missing["code"] == "database_missing"


def test_an_estimate_sets_the_reward_against_the_cost(
    lived: Lived, capsys: pytest.CaptureFixture[str]
) -> None:
    """Alone in it, the whole target brings the whole cycle: 300 tokens; assumed costs are called that."""
    found = parsed(capsys, lived.folder, "campaign", "estimate", ESCROW, *CHEAP)
    assert (found["volume"], found["pool"], found["reward"], found["value"]) == ("1000", "300", "300", "600")
    assert (found["cost"], found["net"], found["verdict"]) == ("0.2", "599.8", "it pays")
    assert (found["cost_model"]["measured"], found["price"]["source"]) == (False, "--price")
    half = parsed(capsys, lived.folder, "campaign", "estimate", ESCROW, "--volume", "500", *CHEAP)
    assert (half["pool"], half["reward"]) == ("150", "150")
    poor = ["campaign", "estimate", ESCROW, "--offline", "--price", "0.0000001"]
    assert "does not pay" in parsed(capsys, lived.folder, *poor)["verdict"]
    unpriced = parsed(capsys, lived.folder, "campaign", "estimate", ESCROW, "--offline")
    assert (unpriced["value"], unpriced["net"]) == (None, None)
    assert "nobody knows" in call(capsys, lived.folder, "campaign", "estimate", ESCROW, "--offline")
    for option, value in (("--volume", "-1"), ("--volume", "much"), ("--price", "nan")):
        wrong = refusal(capsys, lived.folder, "campaign", "estimate", ESCROW, "--offline", option, value)
        assert wrong["code"] == "invalid_input"


def test_whoever_is_silent_is_named_and_the_rest_is_used(
    lived: Lived, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No oracle and no token in the configuration: the estimate goes on without them, and says so."""
    config = tmp_path / "market.toml"
    config.write_text('[campaigns]\noracle_url = "http://127.0.0.1:9"\n')
    asked = ["campaign", "estimate", ESCROW, "--config", str(config)]
    found = parsed(capsys, lived.folder, *asked)
    assert found["reward"] == "300"
    assert ["leaderboard" in found["silent"][0], "no price" in found["silent"][1]] == [True, True]


def test_costs_are_measured_on_our_own_trades(
    lived: Lived, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Twenty trades as maker for a rebate of a tenth of a per cent: making the volume earns."""
    folder = copy_of(lived, tmp_path / "data")
    now_ns = SystemClock().now_ns()
    with closing(SqliteOperations.open(folder / "control.db")) as operations:
        operations.put_run(_spec())
    with closing(TradingStore.open(folder / "trading.db")) as log:
        log.append_facts("run-1", [_fill(now_ns - 60_000 * NS_PER_MS) for _ in range(20)])
    found = parsed(capsys, folder, "campaign", "estimate", ESCROW, *CHEAP)
    model = found["cost_model"]
    assert (model["measured"], model["trades"], model["maker_fee_ppm"]) == (True, 20, -1_000)
    assert found["cost"] == "-1"
    assert "measured on 20" in call(capsys, folder, "campaign", "estimate", ESCROW, *CHEAP)


@pytest.fixture
def instance(lived: Lived, tmp_path: Path) -> Iterator[tuple[Path, FakePartners]]:
    """A running instance on such a folder."""
    folder, partners = copy_of(lived, tmp_path / "data"), FakePartners()
    with served(Door(partners=partners).app) as url:
        DataDirectory(folder).announce(url)
        (folder / FILE).write_text("the-owners-token")
        yield folder, partners


def test_the_owners_word_goes_to_the_running_instance(
    instance: tuple[Path, FakePartners], capsys: pytest.CaptureFixture[str]
) -> None:
    """Join, leave, take it back; the name may be a beginning."""
    folder, partners = instance
    assert parsed(capsys, folder, "campaign", "join", ESCROW[:12])["owner"]["wish"] == "join"
    assert "leave" in call(capsys, folder, "campaign", "leave", CAMPAIGN)
    parsed(capsys, folder, "campaign", "automatic", CAMPAIGN)
    assert [(name, wish) for name, wish, _ in partners.asked] == [
        (CAMPAIGN, "join"),
        (CAMPAIGN, "leave"),
        (CAMPAIGN, "automatic"),
    ]
    assert refusal(capsys, folder, "campaign", "join", "nothing")["code"] == "campaign_unknown"


def test_without_a_running_instance_nothing_is_joined(
    lived: Lived, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line, status 3: a wish that nobody carries out would be a promise."""
    for word in ("join", "leave", "automatic"):
        told = refusal(capsys, lived.folder, "campaign", word, ESCROW, status=ExitCode.UNAVAILABLE)
        assert told["code"] == "not_running"


def test_every_name_on_a_rewards_way_leads_to_it(lived: Lived, capsys: pytest.CaptureFixture[str]) -> None:
    """From the transaction to the receipt; what is one person's shows that person's part."""
    names = {
        PAYOUT_TX: "transaction",
        PAYOUT_TX.removeprefix("0x").upper(): "transaction",
        f"{PAYOUT_TX}:7": "transaction",
        lived.entry: "entry",
        lived.sweep: "transfer",
        f"{ARRIVAL} {lived.sweep}": "transfer",
        lived.run: "run",
        f"{lived.run}:user:bob": "allocation",
        lived.delivery: "receipt",
        lived.receipt: "receipt",
        lived.withdrawal: "receipt",
    }
    for name, kind in names.items():
        found = parsed(capsys, lived.folder, "rewards", "trace", name)
        (trace,) = found["traces"]
        assert (found["kind"], trace["campaign"], trace["cycle"]) == (kind, CAMPAIGN, 0)
        assert [step["name"] for step in trace["steps"]] == [
            "transaction",
            "entry",
            "transfer",
            "allocation",
            "credit",
            "receipt",
        ]
    bobs = parsed(capsys, lived.folder, "rewards", "trace", lived.withdrawal)["traces"][0]
    assert bobs == parsed(capsys, lived.folder, "rewards", "trace", f"{lived.run}:user:bob")["traces"][0]
    assert (bobs["steps"][5]["amount"], bobs["steps"][5]["state"]) == ("1", "now")
    anns = parsed(capsys, lived.folder, "rewards", "trace", PAYOUT_TX, "--user", "ann")["traces"][0]
    assert (bobs["amount"], anns["amount"], anns["account"]) == ("2.475", "7.425", "user:ann")


def test_a_trace_is_a_table_for_people(lived: Lived, capsys: pytest.CaptureFixture[str]) -> None:
    """Six numbered steps with states; a reward that waits in the vault says so."""
    text = call(capsys, lived.folder, "rewards", "trace", lived.entry)
    assert all(f"{step}: done" in text for step in ("transaction", "entry", "transfer", "allocation"))
    assert "transfer: waiting" in call(capsys, lived.folder, "rewards", "trace", "0x02")


def test_a_name_that_is_nowhere_is_refused(lived: Lived, capsys: pytest.CaptureFixture[str]) -> None:
    """With what may be given; also where the log is another one, or the person got nothing."""
    for name in ("nothing", "0x" + "00" * 32, f"{PAYOUT_TX}:8", f"{PAYOUT_TX}:x", f"{lived.run}:user:eve"):
        assert refusal(capsys, lived.folder, "rewards", "trace", name)["code"] == "trace_unknown"


_NUMBERS = count()


def _spec() -> RunSpec:
    return RunSpec(id="run-1", kind="pure_market_making", venue="mexc", account="main", pair="ETH/USDT")


def _fill(at_ns: int) -> Filled:
    return Filled(
        venue="mexc", at_ns=at_ns, symbol="ETH/USDT", base="ETH", quote="USDT",
        trade_id=str(next(_NUMBERS)), client_order_id="c", venue_order_id="o", side=Side.BUY,
        price="100", size="1", quote_size="100", fee="-0.1", fee_asset="USDT", maker=True,
    )  # fmt: skip
