"""Names that came lately."""

from __future__ import annotations

from mrmarket.trading.execution.recent import RecentNames


def test_a_name_is_new_once() -> None:
    """The second time it comes it is known."""
    names = RecentNames()
    assert names.add("a")
    assert not names.add("a")
    assert "a" in names
    assert "b" not in names


def test_the_newest_are_known_and_memory_is_bounded() -> None:
    """Whatever comes, the last hundred are known, and never more than two hundred."""
    names = RecentNames(100)
    for number in range(1_000):
        assert names.add(str(number))
        assert len(names) <= 200
        assert all(str(each) in names for each in range(max(0, number - 99), number + 1))
    assert "0" not in names
