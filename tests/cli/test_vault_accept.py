"""`mrmarket vault accept`: a person's word after a reorganisation deeper than the confirmations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.node_stub import NodeStub, served_node
from mrmarket.cli.app import run
from mrmarket.cli.exit_codes import ExitCode
from mrmarket.partners.chains.book import ChainBook
from mrmarket.partners.chains.observations import Observations
from mrmarket.partners.chains.settings import ChainSettings
from mrmarket.partners.chains.transfer import Block, Transfer, TransferKey
from mrmarket.partners.chains.watch import Record, Status, Watch

CHAIN = 1338
SAME = "0x" + "aa" * 32
"""Hash of every block that the stub knows."""
GONE = Transfer(
    TransferKey(CHAIN, "0x" + "07" * 32, 0),
    98,
    "0x" + "98" * 32,
    "0x" + "bb" * 20,
    "0x" + "33" * 20,
    "0x" + "11" * 20,
    5,
)


def halted_folder(folder: Path, node: NodeStub) -> list[str]:
    """A folder whose chain has lost final blocks above 96; the arguments that name it."""
    folder.mkdir()
    (folder / "market.toml").write_text(
        f'[[chains]]\nname = "local"\nchain_id = {CHAIN}\nurls = ["{node.url}"]\nconfirmations = 1\n'
    )
    chain = ChainSettings(name="local", chain_id=CHAIN, urls=[node.url], confirmations=1)
    blocks = [Block(96, SAME, "0x" + "95" * 32, 96)]
    for number in range(97, 101):
        blocks.append(Block(number, "0x" + str(number)[-2:] * 32, blocks[-1].hash, number))
    book = ChainBook.open(folder / "chains.db")
    watch = Watch("local", 1, chain.remembered_blocks, tuple(blocks), 99, ())
    records = [Record(GONE, Status.SEEN), Record(GONE, Status.FINAL)]
    Observations(book).store(chain, None, watch, records, 1, halted="final blocks are gone from 97 on")
    book.close()
    return ["--data", str(folder), "--config", str(folder / "market.toml")]


def test_the_owners_word_takes_back_what_is_gone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The chain goes on, and a second word has nothing to accept."""
    with served_node() as node:
        where = halted_folder(tmp_path / "data", node)
        assert run(["vault", "accept", "local", *where]) == ExitCode.REFUSED
        assert "--yes" in capsys.readouterr().err
        assert run(["vault", "accept", "local", "--yes", "--json", *where]) == ExitCode.OK
        told = json.loads(capsys.readouterr().out)
        assert told == {"chain": "local", "gone": [GONE.key.tx_hash]}
        book = ChainBook.open(tmp_path / "data" / "chains.db")
        seen = Observations(book)
        assert seen.halted(CHAIN) == ""
        assert [one.transfer for one in seen.with_status(CHAIN, Status.RETRACTED)] == [GONE]
        book.close()
        assert run(["vault", "accept", "local", "--yes", *where]) == ExitCode.REFUSED
        assert "not" in capsys.readouterr().err


def test_only_a_chain_that_is_halted_needs_a_word(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another is refused in one line; nothing is made in the folder."""
    (tmp_path / "market.toml").write_text(
        f'[[chains]]\nname = "local"\nchain_id = {CHAIN}\nurls = ["http://127.0.0.1:9"]\n'
    )
    where = ["--data", str(tmp_path / "none"), "--config", str(tmp_path / "market.toml")]
    assert run(["vault", "accept", "local", "--yes", *where]) == ExitCode.REFUSED
    assert run(["vault", "accept", "other", "--yes", *where]) == ExitCode.REFUSED
    shown = capsys.readouterr().err
    assert "halted" in shown
    assert "one of local" in shown
    assert not (tmp_path / "none").exists()


def test_people_are_told_what_came_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In one sentence."""
    with served_node() as node:
        where = halted_folder(tmp_path / "data", node)
        assert run(["vault", "accept", "local", "--yes", *where]) == ExitCode.OK
    assert "1 transfer is gone" in capsys.readouterr().err
