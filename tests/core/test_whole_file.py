"""Small files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from mrmarket.core.whole_file import make_whole, replace_whole


def test_a_replaced_file_is_the_new_one_and_private(tmp_path: Path) -> None:
    """With no draft beside it."""
    path = tmp_path / "holder.json"
    replace_whole(path, b"one")
    replace_whole(path, b"two")
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_there_is_not_made_again(tmp_path: Path) -> None:
    """The first content stays, and so does a link that leads nowhere."""
    path, link = tmp_path / "HALT", tmp_path / "LINK"
    assert make_whole(path, b"first")
    assert not make_whole(path, b"second")
    assert path.read_bytes() == b"first"
    link.symlink_to(tmp_path / "nowhere")
    assert not make_whole(link, b"third")
    assert link.is_symlink()
    assert sorted(tmp_path.iterdir()) == [path, link]


def test_nobody_ever_sees_a_part_of_it(tmp_path: Path) -> None:
    """A reader that looks all the time sees no file or all of it, however often it is written."""
    path, content = tmp_path / "note", b"reason\n" * 1_000
    seen: set[bytes] = set()
    begun, over = threading.Event(), threading.Event()

    def look() -> None:
        while not over.is_set():
            begun.set()
            try:
                seen.add(path.read_bytes())
            except FileNotFoundError:
                continue

    reader = threading.Thread(target=look)
    reader.start()
    begun.wait()
    for _ in range(100):
        make_whole(path, content)
        replace_whole(path, content)
        path.unlink()
    make_whole(path, content)
    over.set()
    reader.join()
    assert seen <= {content}


def test_a_file_system_without_second_names_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As FAT is one: the file is made by renaming, and what is there is still left alone."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "no second names here")

    monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "HALT"
    assert make_whole(path, b"first")
    assert not make_whole(path, b"second")
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_without_a_folder_it_says_so(tmp_path: Path) -> None:
    """The system's own error comes through."""
    with pytest.raises(FileNotFoundError):
        make_whole(tmp_path / "gone" / "file", b"")
    with pytest.raises(FileNotFoundError):
        replace_whole(tmp_path / "gone" / "file", b"")
