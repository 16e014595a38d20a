"""Where the real recordings are, for the tests that read them."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
"""Third-party recordings beside the checkout; never part of the project."""

needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="needs the recordings in ../shared/data")
