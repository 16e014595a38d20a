"""Ids of payouts that are owed together stand together."""

from __future__ import annotations

from uuid import RFC_4122, UUID, uuid5

from hypothesis import given
from hypothesis import strategies as st

from mrmarket.money.payouts.payout import NAMESPACE, Payout, Place, derived_id, placed_id


@given(
    family=st.text(max_size=40),
    number=st.integers(0, 2**20),
    cause=st.text(max_size=20),
    key=st.text(max_size=40),
)
def test_a_placed_id_is_a_uuid_of_version_8(family: str, number: int, cause: str, key: str) -> None:
    """It is written as RFC 9562 has it, and the same cause in the same place always gets the same."""
    name = placed_id(Place(family, number), cause, key)
    value = UUID(name)
    assert (str(value), value.version, value.variant) == (name, 8, RFC_4122)
    assert name == placed_id(Place(family, number), cause, key)


@given(parts=st.lists(st.text(max_size=20), min_size=1, max_size=4))
def test_a_derived_id_is_a_uuid_of_version_5(parts: list[str]) -> None:
    """Exactly the standard library's, over the parts with a separator between them."""
    assert derived_id(*parts) == str(uuid5(NAMESPACE, "\x1f".join(parts)))


def test_ids_of_a_part_stand_between_those_of_its_neighbours() -> None:
    """Sorted by id, the parts of a family are blocks in their order, whatever the causes are called."""
    parts = [[placed_id(Place("run", part), "reward", f"u{name}") for name in range(50)] for part in range(5)]
    every = [name for part in parts for name in part]
    assert len(set(every)) == 250
    assert sorted(every) == [name for part in parts for name in sorted(part)]


def test_the_rails_key_does_not_depend_on_the_place() -> None:
    """Wherever a payout is kept, the rail knows it by the UUIDv5 of its cause."""
    plain = Payout("reward", "run:user:a", "rail", "user:a", "rail:USDT", 1, "there")
    placed = Payout("reward", "run:user:a", "rail", "user:a", "rail:USDT", 1, "there", place=Place("run", 3))
    assert plain.id == plain.key == placed.key == derived_id("reward", "run:user:a")
    assert placed.id == placed_id(Place("run", 3), "reward", "run:user:a")
