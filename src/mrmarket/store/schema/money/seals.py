"""Signed seals of the ledger and what was seen of the assets behind it."""

from __future__ import annotations
