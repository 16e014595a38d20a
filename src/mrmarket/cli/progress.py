"""A line that says how far long work is; only where a person looks at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mrmarket.cli.output import notes


@contextmanager
def progress_line() -> Iterator[Callable[[float, str], None]]:
    """Give a function that takes (share done, what is being done); it is silent where stderr is a file."""
    if not notes.is_terminal:
        yield lambda _share, _doing: None
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, console=notes, transient=True) as line:
        task = line.add_task("beginning", total=1.0)

        def tell(share: float, doing: str) -> None:
            line.update(task, completed=share, description=doing)

        yield tell
