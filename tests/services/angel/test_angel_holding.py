"""One Angel a data folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mrmarket.services.angel.holding import AngelBusyError, AngelFolder, is_held


async def test_a_second_one_is_kept_out_until_the_first_lets_go(tmp_path: Path) -> None:
    """The refusal names the process."""
    first, second = AngelFolder(tmp_path), AngelFolder(tmp_path)
    assert is_held(tmp_path) == 0
    await first.take(take_over=False)
    assert is_held(tmp_path) == os.getpid()
    with pytest.raises(AngelBusyError, match=f"process {os.getpid()}"):
        await second.take(take_over=False)
    first.let_go()
    await second.take(take_over=True)
    second.let_go()
    assert is_held(tmp_path) == 0


async def test_a_folder_that_is_gone_is_noticed(tmp_path: Path) -> None:
    """An Angel whose instance was deleted has nothing to stay for."""
    folder = AngelFolder(tmp_path)
    await folder.take(take_over=False)
    before = folder.is_there
    (folder.path / "angel.lock").unlink()
    assert (before, folder.is_there) == (True, False)
    folder.let_go()
    folder.let_go()
