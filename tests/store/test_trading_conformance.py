"""The order journal, the event log and the folds: what every trading log does alike."""

from __future__ import annotations

import threading
from hashlib import sha256

import pytest

from mrmarket.core.errors import InvalidInputError
from mrmarket.core.events import decode_fact
from mrmarket.store.errors import DuplicateIntentError, StaleFenceError, UnknownIntentError
from mrmarket.store.event_log import LogHead, genesis_hash
from mrmarket.store.order_journal import FINAL_STATES, OrderRecord
from mrmarket.store.run_fold import RunFold
from mrmarket.store.trading_port import TradingLog
from store.conftest import OpenLog
from store.trading_samples import STREAM, fill, intent, mark

HOUR_NS = 3_600 * 10**9


def fold(seq: int, content: bytes = b"folded") -> RunFold:
    """What a stream adds up to at a fact."""
    return RunFold(stream=STREAM, seq=seq, hash=bytes(32), at_ns=seq, fold=content)


def test_an_intent_is_open_until_told_otherwise(log: TradingLog) -> None:
    """A written intent counts as an order that may stand at the venue."""
    log.record_intent(intent("a"))
    (record,) = log.open_intents(STREAM)
    assert record == OrderRecord(
        **{name: getattr(intent("a"), name) for name in intent("a").__struct_fields__},
        venue_order_id="",
        state="new",
        filled_lots=0,
        updated_ns=1,
    )
    assert record.is_open


def test_a_report_moves_an_order_on(log: TradingLog) -> None:
    """State, venue id and fill follow the reports."""
    log.record_intent(intent("a"))
    log.record_report("a", state="acked", venue_order_id="77", filled_lots=0, at_ns=5)
    log.record_report("a", state="partially_filled", filled_lots=3, at_ns=6)
    record = log.order("a")
    assert record is not None
    assert (record.state, record.venue_order_id, record.filled_lots, record.updated_ns) == (
        "partially_filled",
        "77",
        3,
        6,
    )


def test_a_late_report_takes_nothing_back(log: TradingLog) -> None:
    """A smaller fill, an empty venue id and an older time leave what is known."""
    log.record_intent(intent("a"))
    log.record_report("a", state="partially_filled", venue_order_id="77", filled_lots=3, at_ns=9)
    log.record_report("a", state="acked", filled_lots=1, at_ns=4)
    record = log.order("a")
    assert record is not None
    assert (record.venue_order_id, record.filled_lots, record.updated_ns) == ("77", 3, 9)


@pytest.mark.parametrize("state", sorted(FINAL_STATES))
def test_a_final_order_is_no_longer_open(log: TradingLog, state: str) -> None:
    """Orders that ended are out of the list that recovery walks, and still in the history."""
    log.record_intent(intent("a"))
    log.record_report("a", state=state, at_ns=2)
    assert log.open_intents(STREAM) == []
    assert [order.state for order in log.orders(STREAM)] == [state]


@pytest.mark.parametrize("state", ["sent", "unknown", "acked", "partially_filled", "cancel_unknown"])
def test_a_doubtful_order_stays_open(log: TradingLog, state: str) -> None:
    """Only a final state ends an order; doubt does not."""
    log.record_intent(intent("a"))
    log.record_report("a", state=state, at_ns=2)
    assert [order.client_order_id for order in log.open_intents(STREAM)] == ["a"]


def test_orders_come_newest_first_and_limited(log: TradingLog) -> None:
    """The screen asks for the last few orders of one run."""
    for number in range(5):
        log.record_intent(intent(f"a{number}", created_ns=number))
    log.record_intent(intent("other", stream="run/2"))
    log.record_report("a4", state="filled", at_ns=9)
    assert [order.client_order_id for order in log.orders(STREAM, limit=2)] == ["a4", "a3"]
    assert [order.client_order_id for order in log.orders(STREAM, open_only=True, limit=2)] == ["a3", "a2"]
    assert [order.client_order_id for order in log.open_intents(STREAM)] == ["a0", "a1", "a2", "a3"]


def test_a_client_order_id_is_used_once(log: TradingLog) -> None:
    """Two orders can never share an id, not even over two runs."""
    log.record_intent(intent("a"))
    with pytest.raises(DuplicateIntentError) as caught:
        log.record_intent(intent("a", stream="run/2"))
    assert caught.value.client_order_id == "a"


def test_an_impossible_order_is_refused(log: TradingLog) -> None:
    """An order without size does not enter the journal."""
    with pytest.raises(InvalidInputError):
        log.record_intent(intent("a", size_lots=0))
    assert log.orders(STREAM) == []


def test_a_report_without_intent_is_an_error(log: TradingLog) -> None:
    """Nothing is invented for an id that was never written down."""
    with pytest.raises(UnknownIntentError):
        log.record_report("nobody", state="acked", at_ns=1)
    assert log.order("nobody") is None


def test_several_intents_are_written_together_or_not_at_all(log: TradingLog) -> None:
    """One that is refused takes the others with it; nothing may be sent then."""
    log.record_intents([intent("a"), intent("b")])
    log.record_intents([])
    with pytest.raises(DuplicateIntentError):
        log.record_intents([intent("c"), intent("a")])
    with pytest.raises(InvalidInputError):
        log.record_intents([intent("d"), intent("e", size_lots=0)])
    assert [record.client_order_id for record in log.open_intents(intent("a").stream)] == ["a", "b"]


def test_facts_are_numbered_without_gaps_in_each_stream(log: TradingLog) -> None:
    """Two streams count for themselves from 1."""
    log.append_facts(STREAM, [mark(1), mark(2)])
    log.append_facts("run/2", [mark(3)])
    log.append_facts(STREAM, [mark(4)])
    assert [(row.seq, row.at_ns) for row in log.read_facts(STREAM, 0, 10)] == [(1, 1), (2, 2), (3, 4)]
    assert [row.seq for row in log.read_facts("run/2", 0, 10)] == [1]
    assert log.streams() == ["run/1", "run/2"]


def test_what_is_appended_is_what_is_read(log: TradingLog) -> None:
    """The rows that `append_facts` returns equal those that a reader gets."""
    appended = log.append_facts(STREAM, [mark(1), fill("t1")])
    assert log.read_facts(STREAM, 0, 10) == appended
    assert [decode_fact(row.payload) for row in appended] == [mark(1), fill("t1")]


def test_the_chain_is_what_its_description_says(log: TradingLog) -> None:
    """Anybody can re-derive the hashes from the documented format alone."""
    first, second = log.append_facts(STREAM, [mark(1), mark(2)])
    genesis = sha256(b"mrmarket event log v1\0run/1").digest()
    eight = [number.to_bytes(8, "big") for number in (0, 1, 2)]
    assert first.hash == sha256(genesis + eight[0] + eight[1] + first.payload).digest()
    assert second.hash == sha256(first.hash + eight[0] + eight[2] + second.payload).digest()
    assert log.head(STREAM) == LogHead(seq=2, epoch=0, hash=second.hash)


def test_an_empty_stream_ends_at_its_genesis(log: TradingLog) -> None:
    """Before its first fact a stream has seq 0 and a hash of its own name."""
    assert log.head("nobody") == LogHead(seq=0, epoch=0, hash=genesis_hash("nobody"))
    assert log.append_facts("nobody", []) == []


def test_a_trade_is_logged_once(log: TradingLog) -> None:
    """The same trade from the stream and from a query is one fact; the first report stands."""
    log.append_facts(STREAM, [fill("t1", at_ns=1)])
    again = log.append_facts(STREAM, [fill("t1", at_ns=2), mark(3), fill("t2"), fill("t2")])
    assert [type(row.fact).__name__ for row in again] == ["MarkObserved", "Filled"]
    assert [row.seq for row in log.read_facts(STREAM, 0, 10)] == [1, 2, 3]
    assert log.append_facts("run/2", [fill("t1")]) == []


def test_reading_pages_through_a_stream(log: TradingLog) -> None:
    """`after_seq` and `limit` walk a stream without overlap."""
    log.append_facts(STREAM, [mark(number) for number in range(1, 8)])
    assert [row.seq for row in log.read_facts(STREAM, 3, 2)] == [4, 5]
    assert log.read_facts(STREAM, 7, 2) == []


def test_the_latest_facts_of_a_kind_come_first(log: TradingLog) -> None:
    """The screen asks for the last fills and the last events."""
    log.append_facts(STREAM, [mark(1), fill("t1"), mark(2), fill("t2")])
    assert [row.seq for row in log.latest_facts(STREAM, 3)] == [4, 3, 2]
    assert [row.seq for row in log.latest_facts(STREAM, 10, kinds=["filled"])] == [4, 2]


def test_a_sound_log_verifies(log: TradingLog) -> None:
    """Every stream is walked."""
    log.append_facts(STREAM, [mark(number) for number in range(1_500)])
    log.append_facts("run/2", [fill("t1")])
    check = log.verify_log()
    assert (check.ok, check.streams, check.facts, check.reason) == (True, 2, 1_501, None)


def test_intents_and_facts_from_two_threads_do_not_disturb_each_other(log: TradingLog) -> None:
    """The loop writes intents while the writer thread appends facts."""

    def append() -> None:
        for number in range(60):
            log.append_facts(STREAM, [mark(number), fill(f"t{number}")])

    writer = threading.Thread(target=append)
    writer.start()
    for number in range(300):
        log.record_intent(intent(f"a{number}"))
    writer.join()
    assert log.head(STREAM).seq == 120
    assert len(log.open_intents(STREAM)) == 300
    assert log.verify_log().ok


def test_intents_survive_reopening(open_log: OpenLog) -> None:
    """Another process sees an intent at once, without the first closing anything."""
    open_log().record_intent(intent("a"))
    assert [order.client_order_id for order in open_log().open_intents(STREAM)] == ["a"]


def test_sequences_rise_and_never_repeat_over_restarts(open_log: OpenLog) -> None:
    """A number handed out before a crash is not handed out after it."""
    log = open_log()
    first = [log.next_sequence(STREAM) for _ in range(1_005)]
    assert first == list(range(1, 1_006))
    assert open_log().next_sequence(STREAM) > first[-1]
    assert log.next_sequence("run/2") == 1


def test_a_report_reaches_an_order_of_another_process(open_log: OpenLog) -> None:
    """Whoever takes a run over reports on orders that it did not write down itself."""
    open_log().record_intent(intent("a"))
    heir = open_log()
    heir.record_report("a", state="filled", filled_lots=5, at_ns=2)
    assert heir.open_intents(STREAM) == []


def test_facts_of_another_process_are_seen(open_log: OpenLog) -> None:
    """Settlement in one process reads what an engine in another has appended, as soon as it is durable."""
    writer, reader = open_log(), open_log()
    assert reader.read_facts(STREAM, 0, 10) == []
    appended = writer.append_facts(STREAM, [mark(1), fill("t1")])
    assert reader.read_facts(STREAM, 0, 10) == appended
    assert reader.head(STREAM).hash == appended[-1].hash
    assert reader.latest_facts(STREAM, 1) == appended[-1:]


def test_two_processes_continue_one_chain(open_log: OpenLog) -> None:
    """Whoever appends next goes on where the other has stopped."""
    one, other = open_log(), open_log()
    for number in range(3):
        one.append_facts(STREAM, [mark(2 * number)])
        other.append_facts(STREAM, [mark(2 * number + 1)])
    assert [row.at_ns for row in one.read_facts(STREAM, 0, 10)] == [0, 1, 2, 3, 4, 5]
    assert one.verify_log().ok


def test_a_trade_that_two_streams_report_at_once_is_one_fact(open_log: OpenLog) -> None:
    """Natural keys hold over streams, also where both writers look before either has written."""
    logs = [open_log() for _ in range(2)]
    start = threading.Barrier(len(logs))
    written: list[int] = []

    def report(log: TradingLog, stream: str) -> None:
        for number in range(15):
            start.wait()
            written.append(len(log.append_facts(stream, [fill(f"t{number}")])))

    threads = [
        threading.Thread(target=report, args=(log, f"run/{number}")) for number, log in enumerate(logs)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(written), sum(written)) == (30, 15)
    assert logs[0].verify_log().facts == 15


def test_a_fold_is_kept_until_a_newer_one_comes(open_log: OpenLog) -> None:
    """The last point up to which a stream was folded is what a restart begins with."""
    log = open_log()
    assert log.load_fold(STREAM) is None
    log.save_fold(fold(7))
    log.save_fold(fold(5, b"late"))
    assert open_log().load_fold(STREAM) == fold(7)
    log.save_fold(fold(9, b"newer"))
    assert log.load_fold(STREAM) == fold(9, b"newer")


def test_a_deposed_owner_keeps_no_fold(open_log: OpenLog) -> None:
    """A fold carries the fence as everything else does."""
    log, heir = open_log(), open_log()
    log.acquire_lease(STREAM, "a", HOUR_NS, 0)
    log.save_fold(fold(1))
    heir.seize_lease(STREAM, "b", HOUR_NS, 0)
    with pytest.raises(StaleFenceError):
        log.save_fold(fold(2))
    assert heir.load_fold(STREAM) == fold(1)


def test_closing_a_log_twice_is_harmless(log: TradingLog) -> None:
    """Shutdown paths may meet."""
    log.close()
    log.close()
