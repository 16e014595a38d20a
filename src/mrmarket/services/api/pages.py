"""The built web app, and what its browser may do."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Final

from litestar import MediaType, Response, get
from litestar.response import File
from litestar.static_files import create_static_files_router
from litestar.types import ControllerRouterHandler

WEB_ROOT: Final = Path(__file__).resolve().parents[2] / "web"
"""Where the build puts the pages inside the package."""

_VIEWS: Final = ("/earn", "/campaigns", "/rewards", "/history", "/desk", "/admin")
"""Places of the app besides `/`; the app itself shows what is at and below them."""

_UNBUILT = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Mr. Market</title>
<p>The pages are not built. Run <code>make setup</code> without <code>MM_SKIP_WEB</code>, then start again.
The API is at <a href="/api/v1/instance">/api/v1</a>.</p></html>"""
_INLINE_SCRIPT = re.compile(rb"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL)


def content_security_policy(index: bytes) -> str:
    """Allow our own files and exactly the inline scripts that the built page carries, nothing else."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'"
        for script in _INLINE_SCRIPT.findall(index)
    )
    return (
        f"default-src 'self'; script-src 'self' {hashes}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
    ).replace("  ", " ")


def page_handlers(root: Path = WEB_ROOT) -> list[ControllerRouterHandler]:
    """Routes that serve the pages, or one that says how to build them."""
    index = root / "index.html"
    if not index.exists():

        @get("/", include_in_schema=False, media_type=MediaType.HTML, sync_to_thread=False)
        def unbuilt() -> str:
            return _UNBUILT

        return [unbuilt]
    policy = content_security_policy(index.read_bytes())

    @get(
        ["/", *_VIEWS, *(f"{view}/{{rest:path}}" for view in _VIEWS)],
        include_in_schema=False,
        sync_to_thread=False,
    )
    def home() -> Response[bytes]:
        return Response(
            index.read_bytes(),
            media_type=MediaType.HTML,
            headers={"content-security-policy": policy, "cache-control": "no-cache"},
        )

    handlers: list[ControllerRouterHandler] = [home]
    assets = root / "_app"
    if assets.is_dir():
        handlers.append(
            create_static_files_router(path="/_app", directories=[assets], include_in_schema=False)
        )
    others = [path for path in sorted(root.iterdir()) if path.is_file() and path != index]
    return [*handlers, *map(_file_route, others)]


def _file_route(path: Path) -> ControllerRouterHandler:
    @get(f"/{path.name}", include_in_schema=False, name=f"page:{path.name}", sync_to_thread=False)
    def page_file() -> File:
        return File(path, filename=path.name, content_disposition_type="inline")

    return page_file
