"""What a strategy over several markets says of time."""

from __future__ import annotations


def oldest_of(strategy: object) -> int | None:
    """Age of a book, in ns, beyond which a strategy does nothing; None if it goes by other times, too.

    A strategy says so by having `oldest_book_ns`.
    """
    oldest_ns = getattr(strategy, "oldest_book_ns", None)
    return oldest_ns if isinstance(oldest_ns, int) else None
