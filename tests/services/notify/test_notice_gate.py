"""Which notices go out at once, which later in one line, and which never."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrmarket.core.notice import Notice, Severity
from mrmarket.services.notify.gate import DIGEST, Gate, GateRules

MINUTE = 60_000


def notice(
    key: str = "k", severity: Severity = Severity.WARNING, kind: str = "breaker", text: str = ""
) -> Notice:
    """One notice."""
    return Notice(key=key, kind=kind, severity=severity, title=f"about {key}", text=text, at_ms=1)


def gate(*, severity: Severity = Severity.WARNING, quiet_ms: int = 1_000, per_minute: int = 100) -> Gate:
    """A gate."""
    return Gate(GateRules(severity, quiet_ms, per_minute))


@pytest.mark.parametrize(
    ("threshold", "passed"), [(Severity.INFO, 3), (Severity.WARNING, 2), (Severity.CRITICAL, 1)]
)
def test_lighter_news_than_asked_for_do_not_go_out(threshold: Severity, passed: int) -> None:
    """The severity of the configuration is the lightest that is told."""
    kept = gate(severity=threshold)
    assert sum(kept.admit(notice(s.value, s), 0) is not None for s in Severity) == passed


def test_the_same_news_is_told_once_in_its_quiet_time() -> None:
    """A repeat within the quiet time is counted and not told; later it is told again, with the count."""
    kept = gate(quiet_ms=1_000)
    first = kept.admit(notice(text="It is bad."), 0)
    assert first is not None
    assert [kept.admit(notice(), at) for at in (1, 500, 999)] == [None, None, None]
    again = kept.admit(notice(text="It is bad."), 1_000)
    assert again is not None
    assert again.text == "It is bad. 3 more since it was last told."
    assert kept.repeats == 3


def test_news_that_got_worse_is_told_at_once() -> None:
    """A warning that becomes critical does not wait for the end of its quiet time."""
    kept = gate()
    assert kept.admit(notice(severity=Severity.WARNING), 0) is not None
    assert kept.admit(notice(severity=Severity.CRITICAL), 1) is not None
    assert kept.admit(notice(severity=Severity.WARNING), 2) is None


def test_too_many_wait_for_a_digest_that_counts_them_by_kind() -> None:
    """Above the rate nothing is lost: one notice says how many of what were held back."""
    kept = gate(per_minute=2)
    admitted = [kept.admit(notice(f"k{n}", kind="breaker" if n % 2 else "venue"), n) for n in range(9)]
    assert sum(each is not None for each in admitted) == 2
    assert kept.waiting == 7
    assert kept.digest(10) is None
    digest = kept.digest(MINUTE + 1)
    assert digest is not None
    assert (digest.kind, digest.severity) == (DIGEST, Severity.WARNING)
    assert digest.title == "and 7 more: venue ×4, breaker ×3"
    assert digest.text == "The last one: about k8"
    assert (kept.waiting, kept.digest(MINUTE + 2)) == (0, None)


def test_a_flood_of_warnings_keeps_no_critical_one_back() -> None:
    """What is critical has an allowance of its own."""
    kept = gate(per_minute=1)
    for number in range(20):
        kept.admit(notice(f"w{number}"), number)
    assert kept.admit(notice("fire", Severity.CRITICAL), 21) is not None


def test_a_digest_is_as_loud_as_the_worst_in_it() -> None:
    """Critical news held back make a critical digest."""
    kept = gate(per_minute=1)
    for number in range(3):
        kept.admit(notice(f"c{number}", Severity.CRITICAL), number)
    digest = kept.digest(MINUTE * 2)
    assert digest is not None
    assert digest.severity is Severity.CRITICAL


@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.sampled_from(list(Severity)), st.integers(0, 20_000)), max_size=80
    )
)
def test_every_notice_is_told_counted_or_below_the_threshold(steps: list[tuple[int, Severity, int]]) -> None:
    """Nothing disappears: told, held for a digest, a repeat, or lighter than asked for."""
    kept = gate(quiet_ms=30_000, per_minute=3)
    now = told = light = 0
    for key, severity, passed in steps:
        now += passed
        light += severity is Severity.INFO
        told += kept.admit(notice(str(key), severity), now) is not None
    assert told + kept.repeats + kept.held + light == len(steps)
    assert kept.held == kept.waiting


@given(st.lists(st.integers(0, 5_000), min_size=1, max_size=100))
def test_no_minute_has_more_than_its_rate(gaps: list[int]) -> None:
    """In any sixty seconds at most `per_minute` ordinary notices and digests go out."""
    kept, now, sent = gate(quiet_ms=0, per_minute=4), 0, []
    for number, gap in enumerate(gaps):
        now += gap
        if kept.admit(notice(str(number)), now) is not None:
            sent.append(now)
        if kept.digest(now) is not None:
            sent.append(now)
    assert all(sum(at <= other < at + MINUTE for other in sent) <= 4 for at in sent)


def test_keys_are_forgotten_before_they_fill_the_memory() -> None:
    """A flood of keys that never repeat is remembered in part only."""
    kept = gate(per_minute=10**6)
    for number in range(5_000):
        kept.admit(notice(str(number)), number)
    assert len(kept._told) == 2_000
