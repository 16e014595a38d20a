"""Run by Alembic: the connection and its transaction belong to `mrmarket.store.migration`."""

from __future__ import annotations

from mrmarket.store.migration import run_steps

run_steps()
