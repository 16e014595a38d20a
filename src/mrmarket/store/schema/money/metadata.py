"""The metadata that every table of `money.db` belongs to."""

from __future__ import annotations

from typing import Final

from sqlalchemy import MetaData

MONEY: Final = MetaData()
