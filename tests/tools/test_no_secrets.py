"""Nothing in the repository belongs to one machine or opens a door."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDERS: Final = ("src", "tests", "docs", "tools", "benchmarks", "web/src")
ENDINGS: Final = frozenset(
    {".py", ".md", ".ts", ".svelte", ".toml", ".json", ".yml", ".yaml", ".sh", ".html", ".css"}
)
PATTERNS: Final = {
    "a folder of one machine": re.compile(
        r"(?<![\w.*-])/wor[k]/|/roo[t]/(?!\.)|/home/(?!\$|you\b|user\b|mrmarket\b)[a-z]"
    ),
    "a key of a cloud": re.compile(
        r"\bAKIA[0-9A-Z]{16}\b|\bghp_[A-Za-z0-9]{36}\b|\bxox[bap]-[0-9A-Za-z-]{20,}"
    ),
    "a private key": re.compile(r"-----BEGIN (?:RSA |EC |OPENSSH )?PRIVATE KEY-----\s*[A-Za-z0-9+/]{40}"),
    "a master key": re.compile(r"\bmmk1_(?=[A-Za-z0-9_-]{43}\b)(?!A{20}|B{20})"),
    "a token of a bot": re.compile(r"\b[0-9]{9,10}:AA[A-Za-z0-9_-]{33}\b"),
}


def texts() -> Iterator[tuple[Path, str]]:
    """Every file of ours that is text."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            hidden = {"__pycache__", "node_modules", "build", "generated", ".svelte-kit"} & set(path.parts)
            if path.suffix in ENDINGS and path.is_file() and not hidden:
                yield path, path.read_text(encoding="utf-8")
    for path in sorted(ROOT.glob("*.*")):
        if path.suffix in ENDINGS:
            yield path, path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def everything() -> list[tuple[Path, str]]:
    """Read once."""
    found = list(texts())
    assert len(found) > 500
    return found


@pytest.mark.parametrize("what", sorted(PATTERNS))
def test_the_repository_holds_none(what: str, everything: list[tuple[Path, str]]) -> None:
    """Neither in the source nor in tests and documents."""
    pattern = PATTERNS[what]
    seen = [
        f"{path.relative_to(ROOT)}: {match[0]!r}"
        for path, text in everything
        for match in [pattern.search(text)]
        if match
    ]
    assert seen == []


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("a folder of one machine", "see /" + "work/main/x"),
        ("a key of a cloud", "AKIA" + "Q" * 16),
        ("a master key", "mmk1_" + "Qz" * 21 + "Q"),
        ("a private key", "-----BEGIN PRIVATE KEY-----\n" + "Qz" * 30),
        ("a token of a bot", "123456789:AA" + "z" * 33),
    ],
)
def test_the_search_would_find_it(what: str, text: str) -> None:
    """A pattern that matches nothing would prove nothing."""
    assert PATTERNS[what].search(text)
