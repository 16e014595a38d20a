"""What the bot says, in English and Chinese."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec


class Phrases(msgspec.Struct, frozen=True):
    """One language."""

    words: Mapping[str, tuple[str, ...]]
    """What a command may be called."""
    help: str
    unknown: str
    balance: str
    earn: str
    rewards: str
    nothing: str
    more: str
    stranger: str
    trouble: str


_ENGLISH: Final = Phrases(
    words={
        "help": ("help", "?", "hi", "hello", "start"),
        "balance": ("balance", "balances"),
        "earn": ("earn", "campaigns"),
        "deposit": ("deposit", "pay in"),
        "withdraw": ("withdraw", "withdrawal"),
        "rewards": ("rewards", "reward"),
    },
    help=(
        "balance – what you have\nearn – what can be earned now\ndeposit – pay in\n"
        "withdraw – take out\nrewards – what you were credited\nhelp – this list"
    ),
    unknown="I do not know that word.",
    balance="Your balance",
    earn="To be earned now",
    rewards="Your rewards",
    nothing="Nothing yet.",
    more="… and {count} more on the page",
    stranger="I do not know you yet. Open the page and sign in with Mixin first.",
    trouble="That did not work just now. Nothing was changed; ask me again in a minute.",
)
_CHINESE: Final = Phrases(
    words={
        "help": ("帮助", "幫助", "你好", "开始"),
        "balance": ("余额", "餘額"),
        "earn": ("赚取", "賺取", "活动"),
        "deposit": ("充值", "存款", "入金"),
        "withdraw": ("提现", "提現", "提币", "取款"),
        "rewards": ("奖励", "獎勵", "收益"),
    },
    help=(
        "余额 – 您的资产\n赚取 – 当前可参与的活动\n充值 – 存入资产\n提现 – 取出资产\n"
        "奖励 – 已到账的奖励\n帮助 – 显示本列表"
    ),
    unknown="我不认识这个词。",
    balance="您的余额",
    earn="当前可赚取",
    rewards="您的奖励",
    nothing="暂时没有。",
    more="…… 页面上还有 {count} 项",
    stranger="我还不认识您。请先打开页面并用 Mixin 登录。",
    trouble="刚才没有成功，未作任何更改，请稍后再试。",
)
PHRASES: Final[Mapping[str, Phrases]] = MappingProxyType({"en": _ENGLISH, "zh": _CHINESE})
"""By language."""
