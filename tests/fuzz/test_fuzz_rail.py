"""What is sent to the payment rail: every request is carried out or refused by name."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.mangling import FUZZ, NUMBERS, TEXTS, mangled, refuse_or_take
from mrmarket.services.rail.errors import WorldRefusal
from mrmarket.services.rail.messages import (
    IncomingAnswer,
    InstructionsAnswer,
    RailEndpoints,
    SendAnswer,
    WalletAnswer,
)
from mrmarket.services.rail.requests import Requests
from services.rail.rail_bench import SmallWorld

ADDRESS = "0x" + "ab" * 20
BODIES = [
    b'{"key":"k","asset":"USDT","units":"1","destination":"0xabababababababababababababababababababab"}',
    b'{"key":"k","asset":"USDT","amount":"1.5","destination":"0xabababababababababababababababababababab"}',
    b'{"url":"http://127.0.0.1:1","token":"t","account":"a"}',
    b'{"rules":[{"kind":"drop","match":"POST /v1/sends","rate":0.5}],"seed":1}',
]
PATHS = (
    *("/v1/rail", "/v1/instructions", "/v1/incoming", "/v1/balances", "/v1/sends", "/v1/sends/k"),
    *("/v1/withdrawals", "/v1/withdrawals/k", "/v1/venue", "/v1/faults", f"/v1/wallets/{ADDRESS}"),
    *(
        f"/v1/wallets/{ADDRESS}/faucet",
        f"/v1/wallets/{ADDRESS}/payments",
        "/v1/wallets/%00",
        "/",
        "//",
        "/v1/" + "x/" * 99,
    ),
)
TEXT = st.sampled_from((*NUMBERS, *TEXTS)) | st.text(max_size=12)


@pytest.fixture(scope="module")
def requests(tmp_path_factory: pytest.TempPathFactory) -> Requests:
    """Both sides of a rail without a socket."""
    small = SmallWorld(tmp_path_factory.mktemp("rail"))
    return Requests(small.world, small.dice, "platform", "wallets")


@FUZZ
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    path=st.sampled_from(PATHS),
    query=st.dictionaries(
        st.sampled_from(["asset", "after", "limit", "units", "cursor", "user"]), TEXT, max_size=3
    ),
    body=mangled(BODIES),
    token=st.sampled_from(["Bearer platform", "Bearer wallets"]) | TEXT.map("Bearer {}".format),
)
def test_any_request_is_carried_out_or_refused(
    requests: Requests, method: str, path: str, query: dict[str, str], body: bytes, token: str
) -> None:
    """A refusal has a status below 500 and a code."""
    try:
        answer = requests.answer(method, path, query, body, token)
    except WorldRefusal as refused:
        said: Any = (refused.status, refused.code)
        assert 400 <= said[0] < 500, said
        return
    msgspec.json.encode(answer)


ANSWERS = [
    b'{"cursor":"5","items":[{"id":"a","asset":"USDT","units":"5","state":"confirmed","memo":""}]}',
    b'{"key":"k","state":"sent","units":"1"}',
    b'{"url":"http://127.0.0.1:1","token":"t","name":"rail","assets":[]}',
]


@FUZZ
@given(
    content=mangled(ANSWERS),
    kind=st.sampled_from([IncomingAnswer, InstructionsAnswer, RailEndpoints, SendAnswer, WalletAnswer]),
)
def test_an_answer_of_the_rail_is_read_or_refused(content: bytes, kind: type[Any]) -> None:
    """Only the failures that the client expects come out of reading one."""

    def read(text: bytes) -> object:
        try:
            return msgspec.json.decode(text, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None

    refuse_or_take(read, content)
