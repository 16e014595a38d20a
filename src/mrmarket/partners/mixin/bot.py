"""The bot that users write to: a few words, answered in English or Chinese."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from typing import Final, Protocol

import msgspec

from mrmarket.core.errors import MrMarketError
from mrmarket.partners.mixin.blaze import BlazeMessage, Reply
from mrmarket.partners.mixin.jwt import b64
from mrmarket.partners.mixin.phrases import PHRASES, Phrases

_TEXT: Final = "PLAIN_TEXT"
_BUTTONS: Final = "APP_BUTTON_GROUP"
_LONGEST: Final = 200
_MOST_LINES: Final = 20
_COLOR: Final = "#3D75E3"
_CJK: Final = ("\u4e00", "\u9fff")


class Command(StrEnum):
    """What a user can ask for."""

    HELP = "help"
    BALANCE = "balance"
    EARN = "earn"
    DEPOSIT = "deposit"
    WITHDRAW = "withdraw"
    REWARDS = "rewards"


class Line(msgspec.Struct, frozen=True):
    """One line of an answer, in words that need no translation."""

    title: str
    """Such as an asset or a campaign."""
    amount: str
    """Exact decimal text, or what fits."""
    note: str = ""


class Link(msgspec.Struct, frozen=True):
    """Where to go on."""

    label: str
    url: str


class BotAnswers(Protocol):
    """What the bot asks of the platform. `user` is the Mixin user id of who writes."""

    async def balance(self, user: str) -> Sequence[Line]:
        """What the user has, by asset."""
        ...

    async def earn(self, user: str) -> Sequence[Line]:
        """What can be earned now, by campaign or pair."""
        ...

    async def deposit(self, user: str) -> Link | None:
        """A payment link with the user's memo; None where the user is unknown."""
        ...

    async def withdraw(self, user: str) -> Link | None:
        """Where the user withdraws; None where the user is unknown."""
        ...

    async def rewards(self, user: str) -> Sequence[Line]:
        """What the user was credited, the youngest first."""
        ...


class MarketBot:
    """Answers messages; deals with the same one twice in the same way, for it changes nothing."""

    def __init__(self, answers: BotAnswers) -> None:
        self._answers = answers

    async def hear(self, message: BlazeMessage) -> Reply | None:
        """The answer to a text; other kinds of messages are left alone."""
        if message.category != _TEXT:
            return None
        text = message.text()[:_LONGEST]
        command, phrases = understand(text)
        try:
            return await self._answer(command, phrases, message.user_id)
        except MrMarketError:
            # Of what went wrong inside a stranger is told nothing but that it did.
            return _text(phrases.trouble)

    async def _answer(self, command: Command | None, phrases: Phrases, user: str) -> Reply:
        if command is Command.BALANCE:
            return _lines(phrases.balance, await self._answers.balance(user), phrases)
        if command is Command.EARN:
            return _lines(phrases.earn, await self._answers.earn(user), phrases)
        if command is Command.REWARDS:
            return _lines(phrases.rewards, await self._answers.rewards(user), phrases)
        if command is Command.DEPOSIT:
            return _link(await self._answers.deposit(user), phrases)
        if command is Command.WITHDRAW:
            return _link(await self._answers.withdraw(user), phrases)
        return _text(phrases.help if command is Command.HELP else f"{phrases.unknown}\n\n{phrases.help}")


def understand(text: str) -> tuple[Command | None, Phrases]:
    """Which command a text is, and the language to answer in: that of the text."""
    chinese = any(_CJK[0] <= char <= _CJK[1] for char in text)
    phrases = PHRASES["zh" if chinese else "en"]
    said = text.strip().lstrip("/").casefold()
    for command in Command:
        if said in phrases.words[command.value]:
            return command, phrases
    return None, phrases


def _lines(title: str, lines: Sequence[Line], phrases: Phrases) -> Reply:
    if not lines:
        return _text(f"{title}\n{phrases.nothing}")
    shown = [
        f"{line.title}: {line.amount}" + (f" ({line.note})" if line.note else "")
        for line in lines[:_MOST_LINES]
    ]
    more = [phrases.more.format(count=len(lines) - _MOST_LINES)] if len(lines) > _MOST_LINES else []
    return _text("\n".join([title, *shown, *more]))


def _link(link: Link | None, phrases: Phrases) -> Reply:
    if link is None:
        return _text(phrases.stranger)
    button = {"label": link.label, "action": link.url, "color": _COLOR}
    return Reply(_BUTTONS, b64(json.dumps([button], ensure_ascii=False).encode()))


def _text(text: str) -> Reply:
    return Reply(_TEXT, b64(text.encode()))
