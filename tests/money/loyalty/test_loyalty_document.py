"""The page about the programme says what is so."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from mrmarket.money.loyalty import errors
from mrmarket.money.loyalty.documents import FILES

PAGE: Final = (Path(__file__).parents[3] / "docs" / "loyalty.md").read_text(encoding="utf-8")


def test_the_example_prints_what_the_page_says(tmp_path: Path) -> None:
    """Run word for word in an empty folder."""
    example = PAGE.split("## An example")[1]
    (script,) = re.findall(r"```sh\n(.*?)```", example, re.DOTALL)
    (wanted,) = re.findall(r"```text\n(.*?)```", example, re.DOTALL)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    shown = subprocess.run(
        ["/bin/sh", "-e", "-c", script],
        cwd=tmp_path,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout == wanted


def test_every_refusal_and_every_file_is_on_the_page() -> None:
    """Codes that a script may match on, and the files it will find."""
    codes = {
        kind.code
        for kind in vars(errors).values()
        if isinstance(kind, type)
        and issubclass(kind, errors.LoyaltyError)
        and kind is not errors.LoyaltyError
    }
    assert [code for code in sorted(codes) if f"`{code}`" not in PAGE] == []
    assert [name for name in FILES if f"`{name}`" not in PAGE] == []
