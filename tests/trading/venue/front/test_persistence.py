"""What is on disk when the venue is killed, and what is refused."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from front_desk import BEST_BID, START_NS, quiet_events, quiet_instrument
from mrmarket.core.clock import NS_PER_S, ManualClock
from mrmarket.core.side import Side
from mrmarket.trading.market.tape import TapeWriter
from mrmarket.trading.venue.front.config import VenueConfig
from mrmarket.trading.venue.front.persistence import Frame, FrontState, StateError, StateStore
from mrmarket.trading.venue.front.server import VenueServer
from mrmarket.trading.venue.port import NewOrder, OrderKind
from mrmarket.trading.venue.simulated.persistence import StateRefusedError
from mrmarket.trading.venue.simulated.records import SelfTrade


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands still."""
    return ManualClock(START_NS)


def server(directory: Path, tape: Path, clock: ManualClock) -> VenueServer:
    """A venue on a state directory, its market played up to the clock."""
    config = VenueConfig(tapes=[str(tape)], state_dir=str(directory), accounts={"alice": {}, "bob": {}})
    venue = VenueServer(config, clock)
    venue._step()
    return venue


def place(venue: VenueServer, account: str, side: Side, price: int, lots: int, name: str) -> int:
    """Place an order and return its id."""
    kind = OrderKind.LIMIT if price else OrderKind.MARKET
    order = NewOrder(
        symbol="BTC/USDT", client_order_id=name, side=side, kind=kind, price_ticks=price, size_lots=lots
    )
    return venue.gateway.place(account, order, SelfTrade.EXPIRE_MAKER, quote_units=0 if price else 77)[
        0
    ].order_id


def kill(venue: VenueServer) -> None:
    """End without a word: only the lock is let go, as when the process dies."""
    venue._memory.close()


def test_a_killed_venue_keeps_orders_fills_balances_and_keys(
    tmp_path: Path, quiet_tape: Path, clock: ManualClock
) -> None:
    """All that was acknowledged is there again; ids go on above everything published."""
    first = server(tmp_path, quiet_tape, clock)
    resting = place(first, "alice", Side.BUY, BEST_BID + 100, 1_000, "rests")
    gone = place(first, "alice", Side.BUY, BEST_BID - 100, 1_000, "cancelled")
    first.gateway.cancel("alice", "BTC/USDT", gone, "", "c")
    taken = place(first, "bob", Side.SELL, 0, 400, "takes")
    exchange = first.gateway.exchange
    before = {name: exchange.balances(name) for name in ("alice", "bob")}
    trades = exchange.trades("alice", "BTC/USDT")
    orders = exchange.all_orders("alice", "BTC/USDT")
    last_id = exchange.depth("BTC/USDT", 1)[0]
    kill(first)

    clock.advance(600 * NS_PER_S)
    second = server(tmp_path, quiet_tape, clock)
    exchange = second.gateway.exchange
    assert {name: exchange.balances(name) for name in ("alice", "bob")} == before
    assert exchange.trades("alice", "BTC/USDT") == trades
    assert exchange.all_orders("alice", "BTC/USDT") == orders
    assert [order.order_id for order in exchange.open_orders("alice")] == [resting]
    assert second.gateway.quote_sizes == {taken: 77}
    assert (second.api_key, second.api_secret) == (first.api_key, first.api_secret)
    assert exchange.depth("BTC/USDT", 1)[0] > last_id
    assert place(second, "bob", Side.SELL, BEST_BID + 100, 600, "fills") > taken
    assert exchange.open_orders("alice") == []
    kill(second)


def test_the_tape_goes_on_where_it_was(tmp_path: Path, quiet_tape: Path, clock: ManualClock) -> None:
    """Time that passed while the venue was down is not played."""
    first = server(tmp_path, quiet_tape, clock)
    for _ in range(10):
        clock.advance(NS_PER_S)
        first._step()
    assert first.tape_clock().elapsed_tape_ns == 10 * NS_PER_S
    kill(first)
    clock.advance(3_600 * NS_PER_S)
    second = server(tmp_path, quiet_tape, clock)
    assert second.tape_clock().elapsed_tape_ns == 10 * NS_PER_S
    assert second.tape_clock().loops == 0
    kill(second)


def test_another_tape_starts_at_its_beginning(tmp_path: Path, quiet_tape: Path, clock: ManualClock) -> None:
    """A position is worth nothing on another tape; accounts stay as they were."""
    first = server(tmp_path / "state", quiet_tape, clock)
    place(first, "alice", Side.BUY, 0, 500, "takes")
    clock.advance(3 * NS_PER_S)
    first._step()
    balances = first.gateway.exchange.balances("alice")
    kill(first)
    other = tmp_path / "other.tape"
    with TapeWriter(other, quiet_instrument()) as writer:
        for event in quiet_events(2):
            writer.write(event)
    second = server(tmp_path / "state", other, clock)
    assert second.tape_clock().elapsed_tape_ns == 0
    assert second.gateway.exchange.balances("alice") == balances
    kill(second)


def test_a_dead_mans_deadline_survives(tmp_path: Path, quiet_tape: Path, clock: ManualClock) -> None:
    """A countdown that ran out while the venue was down is carried out at its start."""
    first = server(tmp_path, quiet_tape, clock)
    place(first, "alice", Side.BUY, BEST_BID - 100, 1_000, "rests")
    first._dead_man.arm("alice", "BTC/USDT", 5_000, clock.now_ns())
    first._armed()
    kill(first)
    clock.advance(6 * NS_PER_S)
    second = server(tmp_path, quiet_tape, clock)
    assert second.gateway.exchange.open_orders("alice") == []
    kill(second)


def test_a_frame_cut_by_the_crash_is_left_out(tmp_path: Path, quiet_tape: Path, clock: ManualClock) -> None:
    """The last frame may be half written: it was never acknowledged."""
    first = server(tmp_path, quiet_tape, clock)
    place(first, "alice", Side.BUY, BEST_BID - 100, 1_000, "kept")
    place(first, "alice", Side.BUY, BEST_BID - 200, 1_000, "cut")
    kill(first)
    (journal,) = tmp_path.glob("venue.journal.*")
    journal.write_bytes(journal.read_bytes()[:-10])
    second = server(tmp_path, quiet_tape, clock)
    assert [order.client_order_id for order in second.gateway.exchange.open_orders("alice")] == ["kept"]
    kill(second)


def test_a_long_journal_is_folded_into_a_new_state(
    tmp_path: Path, quiet_tape: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compaction loses nothing and leaves one journal."""
    monkeypatch.setattr("mrmarket.trading.venue.front.persistence._COMPACT_BYTES", 1)
    first = server(tmp_path, quiet_tape, clock)
    place(first, "alice", Side.BUY, BEST_BID - 100, 1_000, "kept")
    clock.advance(2 * NS_PER_S)
    first._step()
    (journal,) = tmp_path.glob("venue.journal.*")
    assert journal.stat().st_size == 0
    kill(first)
    second = server(tmp_path, quiet_tape, clock)
    assert len(second.gateway.exchange.open_orders("alice")) == 1
    kill(second)


def test_a_directory_has_one_venue(tmp_path: Path) -> None:
    """A second process is told so."""
    store = StateStore(tmp_path)
    with pytest.raises(StateError, match="in use by another venue"):
        StateStore(tmp_path)
    store.close()
    StateStore(tmp_path).close()


@pytest.mark.parametrize(("name", "data"), [("venue.state", b"\xff"), ("keys.json", b"{")])
def test_damage_is_said_and_left_alone(tmp_path: Path, name: str, data: bytes) -> None:
    """A file that cannot be read stops the venue and stays as it is."""
    (tmp_path / name).write_bytes(data)
    store = StateStore(tmp_path)
    with pytest.raises(StateError, match="damaged"):
        store.load() if name == "venue.state" else store.keys(["alice"])
    assert (tmp_path / name).read_bytes() == data
    store.close()


def test_a_newer_state_is_refused(tmp_path: Path) -> None:
    """A directory of a later release is not touched."""
    store = StateStore(tmp_path)
    store.begin(b"", FrontState(), {})
    newer = msgspec.msgpack.decode((tmp_path / "venue.state").read_bytes()) | {"format": 99}
    (tmp_path / "venue.state").write_bytes(msgspec.msgpack.encode(newer))
    with pytest.raises(StateError, match="format 99"):
        store.load()
    store.close()


def test_keys_are_private_and_stay(tmp_path: Path) -> None:
    """Mode 0600, the same at every start; new accounts get theirs."""
    store = StateStore(tmp_path)
    alice = store.keys(["alice"])
    both = store.keys(["alice", "bob"])
    assert [(key.account, key.use) for key in alice] == [("alice", "trade"), ("alice", "angel")]
    assert both[:2] == alice
    assert {(key.account, key.use) for key in both[2:]} == {("bob", "trade"), ("bob", "angel")}
    assert len({key.key for key in both}) == 4
    assert (tmp_path / "keys.json").stat().st_mode & 0o777 == 0o600
    store.close()


class _FullDisk:
    """A journal on a disk with no room left."""

    def write(self, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    def close(self) -> None:
        """Nothing is open."""


class _TightDisk(_FullDisk):
    """A disk that takes the first bytes only."""

    def write(self, data: bytes) -> int:
        return len(data) - 1


def test_a_full_disk_ends_the_venue_before_anything_is_told(
    tmp_path: Path, quiet_tape: Path, clock: ManualClock
) -> None:
    """The order is not acknowledged, nobody hears of it, and the venue stops with one sentence."""
    venue = server(tmp_path, quiet_tape, clock)
    told: list[Any] = []
    venue.gateway.listen(lambda published, now_ns: told.extend(published))
    store = venue._memory._store
    assert store is not None
    store._journal = _FullDisk()  # type: ignore[assignment]  # stands in for a file on a full disk
    with pytest.raises(StateError, match="No space left"):
        place(venue, "alice", Side.BUY, BEST_BID - 100, 1_000, "lost")
    assert told == []
    with pytest.raises(StateError):
        venue._step()
    store._journal = _TightDisk()  # type: ignore[assignment]  # stands in for a file on a full disk
    with pytest.raises(StateError, match="only part"):
        store.append(Frame(changes=b"", front=FrontState()))
    kill(venue)


def test_a_path_that_is_no_directory_is_refused(tmp_path: Path) -> None:
    """One sentence, whatever the system says."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="cannot be written"):
        StateStore(tmp_path / "file" / "state")
    store = StateStore(tmp_path / "state", fsync="always")
    with pytest.raises(StateError, match="no journal"):
        store.append(Frame(changes=b"", front=FrontState()))
    store.begin(b"", FrontState(), {})
    store.append(Frame(changes=b"x", front=FrontState(feed=b"y")))
    saved = store.load()
    assert saved is not None
    assert (saved.changes, saved.front.feed) == ([b"x"], b"y")
    (tmp_path / "state" / "venue.state.new").mkdir()
    with pytest.raises(StateError, match="cannot be written"):
        store.begin(b"", FrontState(), {})
    store.close()


def test_a_tape_of_another_pair_is_refused_with_open_orders(
    tmp_path: Path, quiet_tape: Path, clock: ManualClock
) -> None:
    """Orders of a pair that is not listed any more are not dropped in silence; the lock is let go."""
    first = server(tmp_path / "state", quiet_tape, clock)
    place(first, "alice", Side.BUY, BEST_BID - 100, 1_000, "rests")
    kill(first)
    other = replace(quiet_instrument(), symbol="ETH/USDT", base="ETH")
    path = tmp_path / "eth.tape"
    with TapeWriter(path, other) as writer:
        for event in quiet_events(1):
            writer.write(event)
    for _ in range(2):
        with pytest.raises(StateRefusedError, match="not listed"):
            server(tmp_path / "state", path, clock)
