"""What a report proves, and what it does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrmarket.core.errors import InvalidInputError
from mrmarket.money.payouts.port import SendReport, SendState
from mrmarket.money.payouts.pursuit import Finding, Patience, Pursuit, asked, weigh

FRESH = Pursuit(0, 0, 0, 0, acknowledged=False, reference="", reason="", due_ms=0)
PATIENCE = Patience(proofs=3, first_pause_ms=1_000, longest_pause_ms=60_000)


def middle() -> float:
    """No chance."""
    return 0.5


def look(
    pursuit: Pursuit, state: SendState, now_ms: int, *, looked_up: bool = True
) -> tuple[Pursuit, Finding]:
    """Weigh one plain report with a settling time of 5 s."""
    report = SendReport(state)
    return weigh(
        pursuit,
        report,
        looked_up=looked_up,
        now_ms=now_ms,
        settle_ms=5_000,
        patience=PATIENCE,
        jitter=middle,
    )


@pytest.mark.parametrize(
    ("times", "proved"),
    [
        ([10, 20, 30], False),
        ([10, 6_000], False),
        ([10, 20, 5_010], False),
        ([10, 20, 5_011], True),
        ([10, 3_000, 6_000], True),
    ],
)
def test_absence_needs_lookups_and_time(times: list[int], proved: bool) -> None:
    """Three empty lookups, the last more than the settling time after the first, and nothing less."""
    pursuit, finding = FRESH, Finding.UNKNOWN
    for now_ms in times:
        pursuit, finding = look(pursuit, SendState.ABSENT, now_ms)
    assert (finding is Finding.ABSENT) is proved


def test_the_answer_of_the_request_itself_proves_no_absence() -> None:
    """A rail that answers a request with `absent` is not believed."""
    pursuit = FRESH
    for now_ms in (10, 6_000, 12_000, 18_000):
        pursuit, finding = look(pursuit, SendState.ABSENT, now_ms, looked_up=False)
        assert (finding, pursuit.absences) == (Finding.UNKNOWN, 0)


def test_a_sight_of_it_starts_the_proof_anew() -> None:
    """Once it was seen, its earlier absences count no more, and later ones never suffice."""
    pursuit = FRESH
    for now_ms in (10, 3_000):
        pursuit, _ = look(pursuit, SendState.ABSENT, now_ms)
    pursuit, finding = look(pursuit, SendState.SENDING, 4_000)
    assert (finding, pursuit.absences, pursuit.absent_ms) == (Finding.PENDING, 0, 0)
    for now_ms in range(5_000, 60_000, 5_000):
        pursuit, finding = look(pursuit, SendState.ABSENT, now_ms)
        assert finding is Finding.UNKNOWN
    assert "by hand" in pursuit.reason


def test_a_new_request_starts_the_proof_anew() -> None:
    """Absences from before a request say nothing about it."""
    pursuit = FRESH
    for now_ms in (10, 3_000):
        pursuit, _ = look(pursuit, SendState.ABSENT, now_ms)
    pursuit = asked(pursuit, 6_000)
    assert (pursuit.sends, pursuit.absences, pursuit.due_ms) == (1, 0, 6_000)
    _, finding = look(pursuit, SendState.ABSENT, 12_000)
    assert finding is Finding.UNKNOWN


@given(st.lists(st.sampled_from([SendState.UNKNOWN, SendState.SENT, SendState.SENDING]), max_size=20))
def test_nothing_but_an_end_ends_it(states: list[SendState]) -> None:
    """However many unclear answers there are, it is neither confirmed, refused nor absent."""
    pursuit = FRESH
    for number, state in enumerate(states):
        pursuit, finding = look(pursuit, state, number * 100_000)
        assert finding in {Finding.UNKNOWN, Finding.PENDING}
        assert pursuit.due_ms > number * 100_000


@given(st.integers(0, 200), st.floats(0, 1, exclude_max=True))
def test_pauses_grow_within_bounds(attempts: int, chance: float) -> None:
    """A pause doubles up to the longest and is never less than half of it."""
    whole = min(60_000, 1_000 * 2 ** min(attempts, 10))
    assert whole // 2 <= PATIENCE.pause_ms(attempts, lambda: chance) <= whole


def test_a_negative_fee_is_refused() -> None:
    """No rail pays us for paying."""
    with pytest.raises(InvalidInputError):
        SendReport(SendState.CONFIRMED, fee_units=-1)
