"""What the doctor says of files that others may read."""

from __future__ import annotations

from pathlib import Path

from mrmarket.services.config import load_config
from mrmarket.services.diagnosis import diagnose


def test_a_folder_that_others_can_read_is_found(tmp_path: Path) -> None:
    """Files that we make are never; a restored backup may be."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / "keys.json").touch(0o600)
    loaded = load_config(None, {"api.port": 0})
    found = {finding.check: finding for finding in diagnose(loaded, data)}
    assert found["privacy"].result == "ok"
    (data / "keys.json").chmod(0o644)
    found = {finding.check: finding for finding in diagnose(loaded, data)}
    assert (found["privacy"].result, found["privacy"].found) == ("warn", "others may read keys.json")
    assert "chmod" in found["privacy"].next_step
    absent = {finding.check for finding in diagnose(loaded, tmp_path / "absent")}
    assert "privacy" not in absent
