"""What the sandbox's ledger and websocket refuse, as the network would."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from msgspec.structs import replace

from mrmarket.core.clock import NS_PER_S, SystemClock
from mrmarket.partners.mixin.blaze import PROTOCOL, pack, unpack
from mrmarket.partners.mixin.client import KeyRequest, MixinClient, RawRequest
from mrmarket.partners.mixin.errors import MixinRefusedError
from mrmarket.partners.mixin.ids import CASHIER, kernel_asset
from mrmarket.partners.mixin.jwt import sign_request
from mrmarket.partners.mixin.sandbox.config import USDT_ETHEREUM, USDT_POLYGON
from mrmarket.partners.mixin.sandbox.server import MixinSandbox
from mrmarket.partners.mixin.signing import sign_transaction
from mrmarket.partners.mixin.transaction import (
    WITHDRAWAL,
    Input,
    Output,
    Transaction,
    encode,
    encode_unsigned,
)
from partners.mixin.mixin_bench import at_once, new_key

UNITS = 100_000_000


class Payer:
    """A bot with one coin, who builds transactions by hand."""

    def __init__(self, sandbox: MixinSandbox) -> None:
        self.sandbox = sandbox
        self.bot = sandbox.enrol("bot")
        self.client = MixinClient(self.bot, SystemClock(), url=sandbox.url, timeout_s=10.0, sleep=at_once)

    async def good(self) -> Transaction:
        """A transaction that would be made: to a friend, with change."""
        self.sandbox.fund(self.bot.app_id, USDT_POLYGON, UNITS)
        (coin, *_) = await self.client.outputs(asset_id=USDT_POLYGON, state="unspent")
        friend = self.sandbox.enrol("friend").app_id
        outputs = []
        for place, (who, units) in enumerate(((friend, 7), (self.bot.app_id, UNITS - 7))):
            (told,) = await self.client.keys([KeyRequest([who], place, new_key())])
            outputs.append(Output(units, tuple(told.keys), told.mask, "fffe01"))
        spent = Input(coin.transaction_hash, coin.output_index)
        return Transaction(kernel_asset(USDT_POLYGON), (spent,), tuple(outputs))

    async def signed(self, transaction: Transaction, name: str) -> Transaction:
        """Have it checked, and sign it."""
        (view,) = await self.client.check([RawRequest(name, encode_unsigned(transaction).hex())])
        return sign_transaction(transaction, view.views or (), self.bot.spend_seed)


@pytest.fixture
async def payer(tmp_path: Path) -> AsyncIterator[Payer]:
    """On a calm sandbox."""
    async with MixinSandbox(tmp_path / "mixin.sqlite") as sandbox:
        made = Payer(sandbox)
        try:
            yield made
        finally:
            await made.client.close()


def other_output(transaction: Transaction, place: int, **fields: Any) -> Transaction:
    """One output changed."""
    outputs = list(transaction.outputs)
    outputs[place] = replace(outputs[place], **fields)
    return replace(transaction, outputs=tuple(outputs))


OUT = Output(7, kind=WITHDRAWAL, address="0x" + "00" * 20)
WRONG: dict[str, tuple[Callable[[Transaction], Transaction], str]] = {
    "more comes out": (lambda t: other_output(t, 0, units=8), "invalid_field"),
    "less comes out": (lambda t: other_output(t, 1, units=1), "invalid_field"),
    "a coin twice": (lambda t: replace(t, inputs=t.inputs * 2), "invalid_field"),
    "a coin that is none": (lambda t: replace(t, inputs=(Input("11" * 32, 0),)), "insufficient_balance"),
    "another asset": (lambda t: replace(t, asset=kernel_asset(USDT_ETHEREUM)), "invalid_field"),
    "an unknown asset": (lambda t: replace(t, asset="22" * 32), "invalid_field"),
    "no keys": (lambda t: other_output(t, 0, keys=()), "invalid_field"),
    "no mask": (lambda t: other_output(t, 0, mask=""), "invalid_field"),
    "another script": (lambda t: other_output(t, 0, script="00"), "invalid_field"),
    "keys at another place": (lambda t: replace(t, outputs=t.outputs[::-1]), "invalid_field"),
    "a long extra": (lambda t: replace(t, extra=bytes(300)), "invalid_field"),
    "a withdrawal at the end": (
        lambda t: replace(t, outputs=(t.outputs[1], OUT)),
        "invalid_field",
    ),
}


@pytest.mark.parametrize("case", WRONG)
async def test_what_breaks_a_rule_is_refused(payer: Payer, case: str) -> None:
    """Each with a word that says what kind of wrong it is; the good one is taken after it."""
    change, reason = WRONG[case]
    good, name = await payer.good(), new_key()
    with pytest.raises(MixinRefusedError) as refused:
        await payer.client.check([RawRequest(name, encode_unsigned(change(good)).hex())])
    assert refused.value.reason == reason
    whole = await payer.signed(good, name)
    (made,) = await payer.client.send([RawRequest(name, encode(whole).hex())])
    assert made.is_final


async def test_only_the_owners_signature_moves_a_coin(payer: Payer) -> None:
    """Missing, foreign, superfluous and altered signatures are refused, and so is somebody else's coin."""
    good, name = await payer.good(), new_key()
    whole = await payer.signed(good, name)
    signature = whole.signatures[0][0]
    foreign = sign_transaction(good, ["01" + "00" * 31], bytes(32)).signatures
    for signatures in ((), foreign, ({0: signature, 1: signature},), ({1: signature},), ({},)):
        raw = encode(replace(whole, signatures=signatures)).hex()
        with pytest.raises(MixinRefusedError):
            await payer.client.send([RawRequest(name, raw)])
    thief = Payer(payer.sandbox)
    with pytest.raises(MixinRefusedError) as refused:
        await thief.client.check([RawRequest(new_key(), encode_unsigned(good).hex())])
    assert refused.value.reason == "forbidden"
    with pytest.raises(MixinRefusedError):
        await thief.client.send([RawRequest(name, encode(whole).hex())])
    await thief.client.close()
    (made,) = await payer.client.send([RawRequest(name, encode(whole).hex())])
    assert made.is_final
    with pytest.raises(MixinRefusedError) as used:
        await payer.client.check([RawRequest(name, encode_unsigned(await payer.good()).hex())])
    assert used.value.reason == "invalid_field"


async def test_a_withdrawal_without_its_fee_stays(payer: Payer) -> None:
    """Nothing for the cashier, too little, or a reference to nothing: refused, and the coin is unspent."""
    good = await payer.good()
    (told,) = await payer.client.keys([KeyRequest([CASHIER], 1, new_key())])
    cashier = Output(UNITS - 7, tuple(told.keys), told.mask, "fffe01")
    (back,) = await payer.client.keys([KeyRequest([payer.bot.app_id], 2, new_key())])
    unpaid = replace(good, outputs=(OUT, good.outputs[1]))
    stingy = replace(
        good,
        outputs=(
            OUT,
            replace(cashier, units=9),
            Output(UNITS - 16, tuple(back.keys), back.mask, "fffe01"),
        ),
    )
    for transaction, reason in (
        (unpaid, "withdrawal_fee_too_small"),
        (stingy, "withdrawal_fee_too_small"),
        (replace(good, references=("33" * 32,)), "invalid_field"),
    ):
        name = new_key()
        whole = await payer.signed(transaction, name)
        with pytest.raises(MixinRefusedError) as refused:
            await payer.client.send([RawRequest(name, encode(whole).hex())])
        assert refused.value.reason == reason
    assert payer.sandbox.ledger.held(payer.bot.app_id, USDT_POLYGON) == UNITS
    name = new_key()
    whole = await payer.signed(replace(good, outputs=(OUT, cashier)), name)
    assert (await payer.client.send([RawRequest(name, encode(whole).hex())]))[0].is_final


async def test_blaze_answers_every_action(tmp_path: Path) -> None:
    """Messages, receipts one by one or many at once, what it does not know, and what is no frame."""
    async with MixinSandbox(tmp_path / "mixin.sqlite") as sandbox, aiohttp.ClientSession() as session:
        bot, friend = sandbox.enrol("bot"), sandbox.enrol("friend").app_id
        request, now_s = new_key(), SystemClock().now_ns() // NS_PER_S
        token = sign_request(bot, "GET", "/", b"", request=request, now_s=now_s)
        headers = {"Authorization": f"Bearer {token}", "X-Request-Id": request}
        names = [sandbox.office.tell(bot.app_id, "PLAIN_TEXT", "aGk", friend) for _ in range(2)]
        message = {"recipient_id": friend, "message_id": new_key(), "category": "PLAIN_TEXT", "data": "aGk"}
        async with session.ws_connect(sandbox.blaze_url, protocols=(PROTOCOL,), headers=headers) as socket:

            async def ask(action: str, params: dict[str, Any]) -> dict[str, Any]:
                await socket.send_bytes(pack({"id": new_key(), "action": action, "params": params}))
                return unpack(await asyncio.wait_for(socket.receive_bytes(), 60))

            await socket.send_str("not a frame, and not an error either")
            assert "error" not in await ask("CREATE_MESSAGE", message)
            assert "error" not in await ask("CREATE_MESSAGE", message)
            assert (await ask("CREATE_MESSAGE", {"recipient_id": friend}))["error"]["code"] == 10002
            assert (await ask("DANCE", {}))["error"]["code"] == 10002
            receipts = [{"message_id": name, "status": "READ"} for name in names]
            assert "error" not in await ask("ACKNOWLEDGE_MESSAGE_RECEIPTS", {"messages": receipts})
            await socket.send_bytes(b"not gzip")
            end = await asyncio.wait_for(socket.receive(), 60)
            assert end.type in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSING}
        assert len(sandbox.office.inbox(friend)) == 1
        assert {item["status"] for item in sandbox.office.inbox(bot.app_id)} == {"READ"}
