"""The bot's words, and messages over Blaze."""

from __future__ import annotations

import asyncio
import base64
import gzip
from collections.abc import Sequence
from functools import partial
from operator import le
from pathlib import Path

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrmarket.core.clock import SystemClock
from mrmarket.core.errors import InvalidInputError
from mrmarket.partners.mixin.blaze import BlazeLine, BlazeMessage, pack, unpack
from mrmarket.partners.mixin.bot import Command, Line, Link, MarketBot, understand
from mrmarket.partners.mixin.client import MixinClient
from mrmarket.partners.mixin.errors import MixinDriftError, MixinUnclearError
from mrmarket.partners.mixin.ids import contact_conversation
from mrmarket.partners.mixin.jwt import unb64
from mrmarket.partners.mixin.phrases import PHRASES
from mrmarket.partners.mixin.sandbox.config import USDT_POLYGON
from mrmarket.partners.mixin.sandbox.server import MixinSandbox
from partners.mixin.mixin_bench import at_once, new_key
from rail_conformance import until


class Desk:
    """Answers for one known user."""

    def __init__(self, known: str = "alice") -> None:
        self.known = known

    async def balance(self, user: str) -> Sequence[Line]:
        """One asset, or nothing."""
        return [Line("USDT", "12.5", "2 locked")] if user == self.known else []

    async def earn(self, user: str) -> Sequence[Line]:
        """More than is shown."""
        return [Line(f"C{n}", "1") for n in range(23)]

    async def deposit(self, user: str) -> Link | None:
        """A link for the known user."""
        return Link("Deposit", "https://mixin.one/pay/x") if user == self.known else None

    async def withdraw(self, user: str) -> Link | None:
        """The same."""
        return Link("Withdraw", "https://example.org") if user == self.known else None

    async def rewards(self, user: str) -> Sequence[Line]:
        """Broken."""
        raise InvalidInputError("secret", "inner", "nothing that a stranger may read")


def said(text: str, user: str = "alice") -> BlazeMessage:
    """A text message."""
    return BlazeMessage(new_key(), "PLAIN_TEXT", user, new_key(), base64.b64encode(text.encode()).decode())


async def answer(text: str, user: str = "alice") -> str:
    """What the bot writes back."""
    reply = await MarketBot(Desk()).hear(said(text, user))
    assert reply is not None
    return unb64(reply.data).decode()


def test_every_command_has_words_in_both_languages() -> None:
    """No word means two commands, and the answer is in the language of the question."""
    for phrases in PHRASES.values():
        words = [word for command in Command for word in phrases.words[command.value]]
        assert len(words) == len(set(words))
        for command in Command:
            for word in phrases.words[command.value]:
                assert understand(f" /{word.upper()} ") == (command, phrases)


async def test_the_bot_answers_in_the_language_it_is_asked_in() -> None:
    """Balance, earnings, links, strangers and troubles, in English and Chinese."""
    assert await answer("balance") == "Your balance\nUSDT: 12.5 (2 locked)"
    assert await answer("余额") == "您的余额\nUSDT: 12.5 (2 locked)"
    assert await answer("balance", "bob") == "Your balance\nNothing yet."
    assert (await answer("earn")).endswith("C19: 1\n… and 3 more on the page")
    assert "https://mixin.one/pay/x" in await answer("deposit")
    assert "https://example.org" in await answer("提现")
    assert await answer("deposit", "bob") == PHRASES["en"].stranger
    assert await answer("rewards") == PHRASES["en"].trouble
    assert await answer("help") == PHRASES["en"].help
    assert (await answer("什么")).startswith(PHRASES["zh"].unknown)
    picture = BlazeMessage(new_key(), "PLAIN_IMAGE", "alice")
    assert await MarketBot(Desk()).hear(picture) is None


@given(st.text(max_size=300))
async def test_any_text_has_an_answer(text: str) -> None:
    """Nothing that a stranger writes breaks the bot."""
    assert await answer(text)


@given(st.binary(max_size=200))
def test_any_frame_is_read_or_drift(frame: bytes) -> None:
    """Noise, bare or zipped, raises nothing else."""
    for candidate in (frame, gzip.compress(frame)):
        try:
            unpack(candidate)
        except MixinDriftError:
            continue


def test_a_frame_that_unpacks_to_too_much_is_not_unpacked() -> None:
    """Four megabytes of nothing in four kilobytes."""
    with pytest.raises(MixinDriftError):
        unpack(gzip.compress(bytes(4 * 1024 * 1024)))
    assert unpack(pack({"id": "1"})) == {"id": "1"}


async def test_messages_are_answered_once_and_acknowledged_over_losses(tmp_path: Path) -> None:
    """The websocket breaks, messages come twice: one reply each, and every message is read in the end."""
    troubles: list[MixinUnclearError] = []
    async with MixinSandbox(tmp_path / "mixin.sqlite") as sandbox:
        bot, alice = sandbox.enrol("bot"), sandbox.enrol("alice")
        sandbox.fund(bot.app_id, USDT_POLYGON, 5)  # a system message that the bot leaves alone
        line = BlazeLine(
            bot,
            SystemClock(),
            MarketBot(Desk(alice.app_id)),
            url=sandbox.blaze_url,
            sleep=at_once,
            on_trouble=troubles.append,
        )
        writer = MixinClient(alice, SystemClock(), url=sandbox.url)
        listening = asyncio.create_task(line.run())
        try:
            for round_ in range(2):
                await writer.send_messages(
                    [
                        {
                            "recipient_id": bot.app_id,
                            "conversation_id": contact_conversation(bot.app_id, alice.app_id),
                            "message_id": new_key(),
                            "category": "PLAIN_TEXT",
                            "data_base64": base64.b64encode(word).decode(),
                        }
                        for word in (b"balance", b"help")
                    ]
                )

                async def replies() -> int:
                    return len(sandbox.office.inbox(alice.app_id))

                count = 2 * round_ + 2
                await until(replies, partial(le, count))
                assert await replies() == count

                async def unread() -> list[str]:
                    return [
                        item["status"]
                        for item in sandbox.office.inbox(bot.app_id)
                        if item["status"] != "READ"
                    ]

                assert await until(unread, lambda left: not left) == []
                if round_ == 0:
                    await sandbox.office.hang_up()
            texts = [unb64(item["data"]).decode() for item in sandbox.office.inbox(alice.app_id)]
            assert texts[0] == "Your balance\nUSDT: 12.5 (2 locked)"
            assert troubles, "the loss was told"
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            await writer.close()


async def test_blaze_is_for_bots_that_prove_themselves(tmp_path: Path) -> None:
    """Without a token there is no websocket; what is no frame ends it; unknown actions are refused."""
    async with MixinSandbox(tmp_path / "mixin.sqlite") as sandbox, aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(sandbox.blaze_url)
        troubles: list[MixinUnclearError] = []
        stranger = MixinSandbox(tmp_path / "other.sqlite")
        line = BlazeLine(
            stranger.enrol("bot"),
            SystemClock(),
            MarketBot(Desk()),
            url=sandbox.blaze_url,
            sleep=at_once,
            on_trouble=troubles.append,
        )
        listening = asyncio.create_task(line.run())

        async def told() -> int:
            return len(troubles)

        try:
            await until(told, bool)
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            await stranger.stop()
