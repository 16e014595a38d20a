"""What one check of `mrmarket doctor` found."""

from __future__ import annotations

from typing import Literal

import msgspec


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One check, its result, and what to do about it."""

    check: str
    result: Literal["ok", "warn", "fail"]
    found: str
    next_step: str = ""
