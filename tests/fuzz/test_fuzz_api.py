"""The API under queries, paths, cookies and headers that no browser sends: never a fault."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.mangling import FUZZ, NUMBERS, TEXTS, mangled
from mrmarket.services.access.buckets import Rate
from mrmarket.services.access.settings import AccessSettings, Rates
from mrmarket.services.api.schema import Problem
from services.doors import BEARER, Door, sign_in
from services.money_fake import FakeMoney

_FAST: Final = Rate(1e6, 10**6)
_CONTRACT: Final = json.loads((Path(__file__).resolve().parents[2] / "web" / "openapi.json").read_text())
ROUTES: Final = sorted(
    (path, method)
    for path, methods in _CONTRACT["paths"].items()
    for method in methods
    if method in {"get", "post", "put", "delete"} and not path.endswith("/stream")
)
VALUES: Final = st.sampled_from((*NUMBERS, *TEXTS)) | st.text(max_size=12)
QUERIES: Final = sorted(
    {
        parameter["name"]
        for methods in _CONTRACT["paths"].values()
        for route in methods.values()
        if isinstance(route, dict)
        for parameter in route.get("parameters", [])
        if parameter.get("in") == "query"
    }
)


@pytest.fixture(scope="module")
def door() -> Door:
    """One app for all examples."""
    return Door(AccessSettings(demo=True, open_desk=True, rates=Rates(_FAST, _FAST, _FAST)), FakeMoney())


def in_url(text: str) -> str:
    """A text as a part of a URL."""
    return quote(text.encode("utf-8", "replace"), safe="")


def sound(answer: Any) -> None:
    """Below 500, and a refusal is a Problem."""
    assert answer.status_code < 500, (answer.status_code, answer.text[:300])
    if answer.status_code >= 400 and answer.headers.get("content-type", "").startswith("application/json"):
        assert msgspec.json.decode(answer.content, type=Problem).code


@FUZZ
@given(data=st.data())
def test_any_query_and_path_gets_an_answer(door: Door, data: st.DataObject) -> None:
    """Every route of the contract, as the owner."""
    path, method = data.draw(st.sampled_from(ROUTES))
    while "{" in path:
        head, _, tail = path.partition("{")
        path = head + (in_url(data.draw(VALUES)) or "x") + tail.partition("}")[2]
    names = data.draw(st.lists(st.sampled_from(QUERIES) | st.text(max_size=4), max_size=4))
    query = "&".join(f"{in_url(name)}={in_url(data.draw(VALUES))}" for name in names)
    body = data.draw(st.sampled_from([None, b"", b"{}", b"[]"]) | mangled([b'{"pool":"main","amount":"10"}']))
    headers = BEARER | ({} if body is None else {"Content-Type": "application/json"})
    with door.client() as browser:
        sound(browser.request(method, f"{path}?{query}", content=body, headers=headers))


@FUZZ
@given(
    cookie=st.binary(max_size=40) | VALUES.map(lambda text: b"mrmarket=" + text.encode("utf-8", "replace")),
    token=st.binary(max_size=40)
    | st.sampled_from([b"Bearer ", b"Bearer \xff", b"Basic eA==", b"Bearer  a b"]),
    csrf=st.binary(max_size=20),
    path=st.sampled_from(["me/deposits", "admin/ledger", "auth/session", "status"]),
)
def test_any_cookie_and_header_gets_an_answer(
    door: Door, cookie: bytes, token: bytes, csrf: bytes, path: str
) -> None:
    """Nobody gets in with any of them, and nothing breaks."""
    raw = {b"cookie": cookie, b"authorization": token, b"x-csrf-token": csrf}
    headers = {name: bytes(byte for byte in value if byte not in b"\r\n\0") for name, value in raw.items()}
    with door.client() as browser:
        answer = browser.get(f"/api/v1/{path}", headers=headers)
    sound(answer)
    if path.startswith(("me/", "admin/")):
        assert answer.status_code in {400, 401, 403}


@FUZZ
@given(token=VALUES)
def test_any_session_of_somebody_else_is_nobodys(door: Door, token: str) -> None:
    """Changing one's cookie or the token against forged requests ends in a refusal."""
    with door.client() as browser:
        csrf = sign_in(browser, "alice")
        answer = browser.post(
            "/api/v1/me/deposits",
            content=b'{"pool":"main","asset":"USDT","amount":"10"}',
            headers={"Content-Type": "application/json", "X-CSRF-Token": in_url(token)},
        )
        assert in_url(token) != csrf["X-CSRF-Token"]
    assert answer.status_code == 403
