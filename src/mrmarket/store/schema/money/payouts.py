"""Payments that are owed, on their way, or coming in."""

from __future__ import annotations
