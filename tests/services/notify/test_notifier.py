"""From any thread to every way, whatever goes wrong on one of them."""

from __future__ import annotations

import asyncio
import threading
from random import Random

import pytest
from structlog.testing import capture_logs

from mrmarket.core.clock import ManualClock
from mrmarket.core.notice import Notice, NoticeSink, Severity
from mrmarket.services.notify import notifier as notifier_module
from mrmarket.services.notify.delivery import DeliveryError, Way
from mrmarket.services.notify.gate import GateRules
from mrmarket.services.notify.notifier import Notifier
from mrmarket.services.notify.webhook import Webhook
from services.notify.mailbox import Answer, Mailbox

RULES = GateRules(Severity.WARNING, quiet_ms=60_000, per_minute=100)


class Memory:
    """A way that remembers, after failing as often as it is told."""

    def __init__(self, name: str = "memory", *, failures: list[Exception] | None = None) -> None:
        self.name = name
        self.sent: list[Notice] = []
        self.failures = failures or []
        self.closed = False
        self.arrived = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()

    async def send(self, notice: Notice) -> None:
        """Fail, or remember."""
        await self.open.wait()
        if self.failures:
            raise self.failures.pop(0)
        self.sent.append(notice)
        self.arrived.set()

    async def close(self) -> None:
        """Remember that too."""
        self.closed = True


def notice(key: str = "k", severity: Severity = Severity.WARNING) -> Notice:
    """One notice."""
    return Notice(key=key, kind="test", severity=severity, title=f"about {key}", at_ms=1)


def lots() -> Random:
    """The same lots in every run."""
    return Random(1)  # noqa: S311 - spreads retries


def notifier(*ways: Way) -> Notifier:
    """A notifier with lots drawn from a seed."""
    return Notifier(ways, RULES, ManualClock(), lots())


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifier_module, "_FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(notifier_module, "_LONGEST_PAUSE_S", 0.01)


async def test_a_notice_goes_every_way_and_into_the_log() -> None:
    """Two ways get it, and the log has it with its key."""
    first, second = Memory("a"), Memory("b")
    sink = notifier(first, second)
    await sink.start()
    with capture_logs() as logs:
        sink.notify(notice())
        await sink.close()
    assert [first.sent, second.sent] == [[notice()], [notice()]]
    assert [line["key"] for line in logs if line["event"] == "notice"] == ["k"]
    assert first.closed
    assert second.closed


async def test_what_came_before_the_start_goes_out_with_it() -> None:
    """A breaker that trips while the process comes up is told too."""
    way = Memory()
    sink = notifier(way)
    sink.notify(notice("early"))
    await sink.start()
    await sink.close()
    assert [each.key for each in way.sent] == ["early"]


async def test_any_thread_may_notify() -> None:
    """The books live in a thread; what they notice arrives."""
    way = Memory()
    sink = notifier(way)
    await sink.start()
    thread = threading.Thread(target=sink.notify, args=(notice("from a thread"),))
    thread.start()
    async with asyncio.timeout(60):
        await way.arrived.wait()
    thread.join()
    await sink.close()
    assert [each.key for each in way.sent] == ["from a thread"]


async def test_a_way_that_fails_is_tried_again_and_holds_up_no_other(mailbox: Mailbox) -> None:
    """Three faults of a real server, then it works; the other way never waited."""
    mailbox.script.extend([Answer(500), Answer(429, {"Retry-After": "0"}), Answer(503)])
    way, other = Webhook(mailbox.url, "s", "x", ManualClock()), Memory()
    sink = notifier(way, other)
    await sink.start()
    sink.notify(notice())
    letters = await mailbox.count(4)
    await sink.close()
    assert len({letter.headers["Idempotency-Key"] for letter in letters}) == 1
    assert len(other.sent) == 1
    figures = sink.figures["webhook"]
    assert (figures.delivered, figures.retried, figures.failed) == (1, 3, 0)


async def test_a_refusal_is_counted_and_logged_and_the_next_one_goes_out() -> None:
    """What the other side does not want is given up at once, in words that name no address."""
    way = Memory(failures=[DeliveryError("memory", "it answered 401", may_retry=False)])
    sink = notifier(way)
    await sink.start()
    with capture_logs() as logs:
        sink.notify(notice("one"))
        sink.notify(notice("two"))
        await sink.close()
    assert [each.key for each in way.sent] == ["two"]
    assert sink.figures["memory"].failed == 1
    assert any(line.get("reason") == "it answered 401" for line in logs)


async def test_a_way_is_given_up_on_after_so_many_attempts() -> None:
    """A server that is down for good costs one notice a bounded number of attempts."""
    way = Memory(failures=[DeliveryError("memory", "down", may_retry=True) for _ in range(50)])
    sink = notifier(way)
    await sink.start()
    sink.notify(notice())
    await sink.close()
    assert (sink.figures["memory"].retried, sink.figures["memory"].failed) == (5, 1)
    assert len(way.failures) == 44


async def test_a_fault_in_one_way_does_not_end_it() -> None:
    """An error that nobody thought of costs that notice, not the following ones."""
    way = Memory(failures=[RuntimeError("a fault of ours")])
    sink = notifier(way)
    await sink.start()
    sink.notify(notice("one"))
    sink.notify(notice("two"))
    await sink.close()
    assert [each.key for each in way.sent] == ["two"]
    assert sink.figures["memory"].failed == 1


async def test_a_way_that_hangs_bounds_its_queue_and_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond its queue notices are counted as dropped, and closing does not wait for it for ever."""
    monkeypatch.setattr(notifier_module, "_LAST_WORDS_S", 0.05)
    way = Memory()
    way.open.clear()
    sink = Notifier([way], GateRules(Severity.INFO, 0, 10_000), ManualClock(), lots())
    await sink.start()
    for number in range(300):
        sink.notify(notice(str(number)))
    with capture_logs() as logs:
        await sink.close()
    figures = sink.figures["memory"]
    assert figures.dropped >= 199
    assert way.closed
    assert any(line["event"].startswith("some notices were not delivered") for line in logs)


async def test_too_many_at_once_are_counted_and_not_kept() -> None:
    """Whoever floods the sink finds it as quick as ever; the rest is a number."""
    sink: NoticeSink = (flooded := notifier())
    for number in range(1_500):
        sink.notify(notice(str(number)))
    assert flooded.dropped == 500
    await flooded.start()
    await flooded.close()


def test_a_sink_whose_loop_is_gone_does_not_raise() -> None:
    """A thread that outlives the process's loop may still notify: nobody hears it, nothing breaks."""
    sink = notifier()

    async def short() -> None:
        await sink.start()
        await sink.close()

    asyncio.run(short())
    sink.notify(notice())
    assert len(sink._taken) == 1


async def test_the_digest_goes_out_when_time_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was held back follows in one notice, without anything else having to happen."""
    monkeypatch.setattr(notifier_module, "_DIGEST_EVERY_S", 0.01)
    way, clock = Memory(), ManualClock()
    sink = Notifier([way], GateRules(Severity.WARNING, 0, 1), clock, lots())
    await sink.start()
    for number in range(3):
        sink.notify(notice(str(number)))
    async with asyncio.timeout(60):
        await way.arrived.wait()
        way.arrived.clear()
        clock.advance(61 * 10**9)
        await way.arrived.wait()
    await sink.close()
    assert [each.title for each in way.sent] == ["about 0", "and 2 more: test ×2"]
