"""Small books for the ledger's tests."""

from __future__ import annotations

from mrmarket.core.clock import ManualClock
from mrmarket.core.money import Asset
from mrmarket.money.ledger.account import Account, AccountKind
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.group import Answer, Group, Transfer, TransferKind
from mrmarket.money.ledger.ledger import Ledger
from mrmarket.money.ledger.port import LedgerStore
from mrmarket.money.ledger.rules import Rejection

USD = Asset("sim", "USD", 2)
BTC = Asset("sim", "BTC", 8)
WORLD = Account.of(AccountKind.EXTERNAL, "world")
ALICE = Account.of(AccountKind.USER, "alice")
BOB = Account.of(AccountKind.USER, "bob")
OPENING = Group("open", assets=(USD, BTC), accounts=(WORLD, ALICE, BOB))


def move(giver: Account, taker: Account, units: int, asset: Asset = USD) -> Transfer:
    """One transfer."""
    return Transfer(giver.id, taker.id, asset.id, units, TransferKind.DEPOSIT)


def deposit(key: str, units: int, user: Account = ALICE, asset: Asset = USD) -> Group:
    """Units from the world to a user."""
    return Group(key, (move(WORLD, user, units, asset),))


def opened(store: LedgerStore) -> Ledger:
    """A ledger with two users and two assets."""
    ledger = Ledger(store, ManualClock())
    ask(ledger, OPENING)
    return ledger


def ask(ledger: Ledger, group: Group) -> Answer:
    """Post one group and unpack the answer; raises what the ledger raises."""
    (outcome,) = ledger.drain([group])
    if outcome.error is not None:
        raise outcome.error
    answer: Answer = outcome.value
    return answer


def preview(ledger: Ledger, group: Group) -> Rejection | None:
    """What a group would break, asked in a unit of work."""

    def work(draft: Draft) -> Rejection | None:
        return draft.preview(group)

    (outcome,) = ledger.drain([work])
    verdict: Rejection | None = outcome.value
    return verdict
