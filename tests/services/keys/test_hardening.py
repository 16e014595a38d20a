"""What a process that holds keys keeps from others."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

from mrmarket.services.child_process import ChildProcess
from mrmarket.services.keys.hardening import child_environment

_PROBE = """
import os, resource, sys
from pathlib import Path
from mrmarket.services.keys.hardening import forbid_core_dumps, make_files_private
make_files_private()
shielded = forbid_core_dumps()
Path(sys.argv[1], "made").write_text("text")
Path(sys.argv[1], "folder").mkdir()
print(shielded, resource.getrlimit(resource.RLIMIT_CORE)[0])
"""


def test_a_process_with_keys_leaves_no_core_and_no_open_file(tmp_path: Path) -> None:
    """The limit is 0, Linux is told as well, and what it makes is its owner's alone."""
    ran = subprocess.run(
        [sys.executable, "-c", _PROBE, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert ran.stdout.split() == [str(sys.platform == "linux"), "0"]
    assert (tmp_path / "made").stat().st_mode & 0o077 == 0
    assert (tmp_path / "folder").stat().st_mode & 0o077 == 0
    assert resource.getrlimit(resource.RLIMIT_CORE) is not None


def test_a_child_sees_nothing_that_may_be_a_secret() -> None:
    """Only what is known to be needed is passed on; a list of secret names would never be complete."""
    ours = {
        "PATH": "/bin",
        "LC_ALL": "C.UTF-8",
        "NUMBA_DISABLE_JIT": "1",
        "MRMARKET_KEY": "master",
        "MRMARKET_API_SECRET": "secret",
        "MY_BINANCE_SECRET": "secret",
        "PGPASSWORD": "secret",
        "CREDENTIALS_DIRECTORY": "/run/credentials",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }
    assert set(child_environment(ours)) == {"PATH", "LC_ALL", "NUMBA_DISABLE_JIT"}
    assert "PGPASSWORD" in child_environment(ours, "PGPASSWORD")


def test_a_child_process_is_started_with_what_it_may_see() -> None:
    """Whoever starts one with more says so."""
    child = ChildProcess("a child", [], dict, environment={"PATH": "/bin"})
    assert child.pid is None
