"""How the command speaks: results on stdout, everything else on stderr."""

from __future__ import annotations

import sys

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

notes = Console(stderr=True, highlight=False)
"""Progress, notes and errors; stdout carries results alone, so that it can be piped."""


def print_json(value: object) -> None:
    """One JSON object on one line."""
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
    sys.stdout.flush()


def print_error(code: str, message: str, *, as_json: bool) -> None:
    """One line on stderr; with --json also one object on stdout."""
    line = " ".join(message.split())
    notes.print(f"[bold red]error[/]: {escape(line)}", soft_wrap=True)
    if as_json:
        print_json({"error": {"code": code, "message": line}})


def print_pairs(title: str, pairs: list[tuple[str, str]]) -> None:
    """A small two-column table for people."""
    console = Console(highlight=False)
    console.print(title)
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in pairs:
        table.add_row(name, escape(value))
    console.print(table)


def print_table(headings: list[str], rows: list[list[str]]) -> None:
    """A table for people."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    Console(highlight=False).print(table)
