"""Client order ids."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrmarket.core.errors import InvalidInputError
from mrmarket.trading.execution.order_id import (
    MAX_FENCE,
    MAX_LENGTH,
    MAX_SEQUENCE,
    OrderIds,
    order_prefix,
    parse_order_id,
)

SLOTS = st.from_regex(r"[a-z][0-9a-z]{0,9}", fullmatch=True)


@given(st.text(), st.text(), st.integers(0, MAX_FENCE), st.integers(0, MAX_SEQUENCE), SLOTS)
def test_an_id_reads_back_and_suits_every_venue(
    instance: str, run: str, fence: int, sequence: int, slot: str
) -> None:
    """Whatever the names, an id is short, plain, starts with letters and carries its parts."""
    ids = OrderIds(instance, run, fence=fence)
    made = ids.make(slot, sequence)
    assert re.fullmatch(r"[a-z]{2}[0-9a-z]+", made)
    assert len(made) <= MAX_LENGTH
    parsed = parse_order_id(made)
    assert parsed is not None
    assert (parsed.prefix, parsed.fence, parsed.sequence, parsed.slot) == (ids.prefix, fence, sequence, slot)
    assert ids.owns(made)
    assert made == OrderIds(instance, run, fence=fence).make(slot, sequence)


@given(
    st.lists(
        st.tuples(st.integers(0, MAX_FENCE), st.integers(0, MAX_SEQUENCE), SLOTS), min_size=2, unique=True
    )
)
def test_different_parts_give_different_ids(parts: list[tuple[int, int, str]]) -> None:
    """No two (fence, sequence, slot) share an id."""
    made = {OrderIds("i", "r", fence=fence).make(slot, sequence) for fence, sequence, slot in parts}
    assert len(made) == len(parts)


def test_another_run_is_not_ours() -> None:
    """A run recognises ids of its own earlier lives and of nobody else."""
    ours, theirs = OrderIds("house", "run-1", fence=3), OrderIds("house", "run-2")
    assert ours.owns(OrderIds("house", "run-1", fence=1).make("b1", 7))
    assert not ours.owns(theirs.make("b1", 7))
    assert not ours.owns("x-TKT5PX2F0000000000000000")
    assert not ours.owns(ours.prefix)
    assert ours.prefix == order_prefix("house", "run-1")


@pytest.mark.parametrize("slot", ["", "B1", "1b", "b-1", "b12345678901", "b 1", "ß1"])
def test_a_slot_that_does_not_fit_is_refused(slot: str) -> None:
    """A slot name must fit into the id."""
    with pytest.raises(InvalidInputError):
        OrderIds("i", "r").make(slot, 1)


@pytest.mark.parametrize(("fence", "sequence"), [(-1, 0), (MAX_FENCE + 1, 0), (0, -1), (0, MAX_SEQUENCE + 1)])
def test_numbers_that_do_not_fit_are_refused(fence: int, sequence: int) -> None:
    """Fence and sequence stay within their width."""
    with pytest.raises(InvalidInputError):
        OrderIds("i", "r", fence=fence).make("b1", sequence)


@pytest.mark.parametrize("text", ["", "mm", "web_123", "mm" + "a" * 40])
def test_foreign_ids_do_not_parse(text: str) -> None:
    """What we did not make is not ours."""
    assert parse_order_id(text) is None
