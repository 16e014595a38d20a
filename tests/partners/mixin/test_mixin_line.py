"""The line to Mixin: what answers and silences mean, what is asked again, and what users grant."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web

from mrmarket.core.clock import ManualClock, SystemClock
from mrmarket.partners.mixin.client import (
    MAX_PAGE,
    GrantedClient,
    KeyRequest,
    MixinClient,
    RawRequest,
    exchange_code,
)
from mrmarket.partners.mixin.drafting import choose_fee
from mrmarket.partners.mixin.errors import (
    FragmentedError,
    MixinDriftError,
    MixinRefusedError,
    MixinUnclearError,
    SandboxError,
    ShortOfFundsError,
)
from mrmarket.partners.mixin.jwt import Grant
from mrmarket.partners.mixin.keystore import Keystore
from mrmarket.partners.mixin.messages import WithdrawalFee
from mrmarket.partners.mixin.oauth import begin_login, challenge_of
from mrmarket.partners.mixin.sandbox.config import ETHEREUM, USDT_POLYGON
from mrmarket.partners.mixin.sandbox.faults import MixinFault, MixinFaultKind
from mrmarket.partners.mixin.sandbox.server import MixinSandbox
from mrmarket.partners.mixin.selection import Coin, choose, gather_all
from partners.mixin.mixin_bench import at_once, new_key


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[MixinSandbox]:
    """A calm sandbox."""
    async with MixinSandbox(tmp_path / "mixin.sqlite") as made:
        yield made


@pytest.fixture
async def client(sandbox: MixinSandbox) -> AsyncIterator[MixinClient]:
    """A bot's client of it."""
    made = MixinClient(sandbox.enrol("bot"), SystemClock(), url=sandbox.url, timeout_s=5.0, sleep=at_once)
    try:
        yield made
    finally:
        await made.close()


async def test_questions_are_asked_again_and_orders_are_not(
    sandbox: MixinSandbox, client: MixinClient
) -> None:
    """A lost GET is asked three times; a lost POST once, and who asked finds out what became of it."""
    box = sandbox.break_things(MixinFault(MixinFaultKind.LOST_BEFORE, times=2))
    assert (await client.me()).user_id == client.app_id
    assert box.struck[MixinFaultKind.LOST_BEFORE] == 2
    box = sandbox.break_things(MixinFault(MixinFaultKind.BUSY, "GET *", times=3))
    with pytest.raises(MixinRefusedError) as busy:
        await client.me()
    assert (busy.value.reason, box.struck[MixinFaultKind.BUSY]) == ("rate_limited", 3)
    box = sandbox.break_things(MixinFault(MixinFaultKind.LOST_AFTER, "POST *", times=1))
    with pytest.raises(MixinUnclearError):
        await client.keys([KeyRequest([client.app_id], 0, new_key())])
    assert box.struck[MixinFaultKind.LOST_AFTER] == 1
    for kind in (MixinFaultKind.GARBAGE, MixinFaultKind.SERVER_ERROR, MixinFaultKind.SERVER_ERROR_AFTER):
        sandbox.break_things(MixinFault(kind))
        with pytest.raises(MixinUnclearError):
            await client.me()
    sandbox.break_things(MixinFault(MixinFaultKind.LATE, delay_ms=60_000))
    hasty = MixinClient(client.keystore, SystemClock(), url=sandbox.url, timeout_s=0.05, sleep=at_once)
    with pytest.raises(MixinUnclearError):
        await hasty.me()
    await hasty.close()
    sandbox.break_things()


async def test_a_clock_that_is_wrong_is_refused(sandbox: MixinSandbox) -> None:
    """Tokens use wall time; a machine two hours late is told 401 and what to look at."""
    late = MixinClient(sandbox.enrol("bot"), ManualClock(), url=sandbox.url, sleep=at_once)
    with pytest.raises(MixinRefusedError) as refused:
        await late.me()
    assert (refused.value.reason, refused.value.number) == ("unauthorized", 401)
    assert "clock" in str(refused.value)
    await late.close()


async def test_answers_of_another_shape_are_drift() -> None:
    """Not an object, a field missing, another order, answers to other requests: told, not swallowed."""
    answers: list[bytes] = []

    async def serve(_request: web.Request) -> web.Response:
        return web.Response(body=answers[-1])

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", serve)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    keystore = Keystore(app_id=new_key(), session_id=new_key(), session_private_key="01" * 32)
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    client = MixinClient(keystore, SystemClock(), url=url, sleep=at_once)
    output = (
        b'{"output_id":"%d","transaction_hash":"","output_index":0,"asset_id":"","amount":"1",'
        b'"state":"","sequence":%d}'
    )
    cases: list[tuple[bytes, Callable[[], Awaitable[object]], type[Exception]]] = [
        (b'{"data": 7}', client.me, MixinDriftError),
        (b"{}", client.me, MixinDriftError),
        (b"[]", client.me, MixinUnclearError),
        (b"\xff", client.me, MixinUnclearError),
        (b'{"data": [%s, %s]}' % (output % (1, 2), output % (2, 1)), client.outputs, MixinDriftError),
        (b'{"data": []}', lambda: client.keys([KeyRequest([], 0, "")]), MixinDriftError),
        (b'{"data": []}', lambda: client.check([RawRequest("a", "")]), MixinDriftError),
        (b'{"error": {"code": 99999}}', client.me, MixinRefusedError),
    ]
    try:
        for body, call, kind in cases:
            answers.append(body)
            with pytest.raises(kind):
                await call()
    finally:
        await client.close()
        await runner.cleanup()


async def test_outputs_are_read_page_by_page(sandbox: MixinSandbox, client: MixinClient) -> None:
    """More coins than a page holds: each once, with nothing left out."""
    for _ in range(MAX_PAGE + 20):
        sandbox.fund(client.app_id, USDT_POLYGON, 1)
    found = await client.all_outputs(asset_id=USDT_POLYGON)
    assert len({output.output_id for output in found}) == len(found) == MAX_PAGE + 20


async def test_a_user_grants_what_they_choose(sandbox: MixinSandbox, client: MixinClient) -> None:
    """PKCE from the link to the profile: another verifier is refused, a code works once, the scope holds."""
    alice = sandbox.enrol("alice").app_id
    login = begin_login(client.app_id, ("PROFILE:READ",), secrets.token_bytes)
    challenge = challenge_of(login.verifier)
    code = sandbox.people.authorize(client.app_id, alice, challenge, "PROFILE:READ")
    other = begin_login(client.app_id, ("PROFILE:READ",), secrets.token_bytes)
    for body in (
        other.token_body(client.app_id, code, other.state),
        login.token_body(client.app_id, "a" * 64, login.state),
        {**login.token_body(client.app_id, code, login.state), "ed25519": "!"},
    ):
        with pytest.raises(MixinRefusedError):
            await exchange_code(body, SystemClock(), url=sandbox.url)
    body = login.token_body(client.app_id, code, login.state)
    granted = await exchange_code(body, SystemClock(), url=sandbox.url)
    with pytest.raises(MixinRefusedError):
        await exchange_code(body, SystemClock(), url=sandbox.url)
    grant = Grant(client.app_id, granted.authorization_id, granted.scope, login.seed)
    seen = GrantedClient(grant, SystemClock(), url=sandbox.url)
    assert (await seen.me()).user_id == alice
    await seen.close()
    wider = GrantedClient(
        Grant(client.app_id, granted.authorization_id, "PROFILE:READ ASSETS:READ", login.seed),
        SystemClock(),
        url=sandbox.url,
    )
    with pytest.raises(MixinRefusedError):
        await wider.me()
    await wider.close()


async def test_a_port_that_is_taken_is_told(sandbox: MixinSandbox, tmp_path: Path) -> None:
    """One sentence that says what to do."""
    other = MixinSandbox(tmp_path / "other.sqlite")
    with pytest.raises(SandboxError):
        await other.start(sandbox.port)
    await other.stop()


def coin(number: int, units: int) -> Coin:
    """A coin."""
    return Coin(f"c{number:04d}", "00" * 32, number, units, number)


def test_coins_are_chosen_exactly() -> None:
    """The oldest first with dust along; the largest where the oldest do not suffice; never too many."""
    coins = [coin(1, 50), coin(2, 60), coin(3, 1), coin(4, 2)]
    choice = choose(coins, 100, gather=0)
    assert ([each.id for each in choice.coins], choice.change) == (["c0001", "c0002"], 10)
    assert choose(coins, 100).change == 13
    assert [each.units for each in choose(coins, 55, most=1).coins] == [60]
    with pytest.raises(ShortOfFundsError):
        choose(coins, 114)
    with pytest.raises(ShortOfFundsError):
        choose(coins, 0)
    with pytest.raises(FragmentedError):
        choose([coin(n, 1) for n in range(300)], 256)
    gathered = gather_all(coins, most=3)
    assert gathered is not None
    assert gathered.change == 53
    assert gather_all(coins[:1]) is None


def test_fees_in_the_asset_itself_come_first() -> None:
    """Else the first that is offered; none at all is drift."""
    fees = [WithdrawalFee(ETHEREUM, "1"), WithdrawalFee(USDT_POLYGON, "2")]
    assert choose_fee(fees, USDT_POLYGON).amount == "2"
    assert choose_fee(fees, "other").amount == "1"
    with pytest.raises(MixinDriftError):
        choose_fee([], ETHEREUM)
