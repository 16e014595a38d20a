"""People who bring money, take it out and pay wrongly, and who ask again until they are answered."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Any

from e2e.chaos_instance import ChaosInstance, GoneError, RefusedError
from mrmarket.services.access.demo import DEMO_WALLETS

Step = Callable[[], None]
PEOPLE = tuple(DEMO_WALLETS)
POOL = "main"
HARMLESS = frozenset({"deposit_refused", "withdrawal_refused"})
"""Refusals that a person may meet who does nothing wrong: too much at once, or nothing left to take."""


@dataclass
class Deed:
    """Something that somebody does in steps, each of which may be repeated."""

    name: str
    steps: list[Step]
    answers: dict[str, Any] = field(default_factory=dict)
    refusal: RefusedError | None = None

    def go_on(self) -> bool:
        """Do what is left; whether it is over. Raises GoneError: the step is to be repeated."""
        while self.steps:
            try:
                self.steps[0]()
            except RefusedError as refused:
                self.refusal = refused
                self.steps.clear()
            else:
                del self.steps[0]
        return True


class Crowd:
    """The demo's people, whose choices follow from a seed."""

    def __init__(self, instance: ChaosInstance, seed: int) -> None:
        self._instance = instance
        self._rng = random.Random(seed)  # noqa: S311 - repeatable on purpose
        self._count = 0
        self.waiting: list[Deed] = []
        self.over: list[Deed] = []

    def act(self) -> None:
        """Go on with what is open, then begin something. Raises GoneError once the instance is away."""
        still, self.waiting = self.waiting, []
        for position, deed in enumerate(still):
            try:
                deed.go_on()
            except GoneError:
                self.waiting.extend(still[position:])
                raise
            self.over.append(deed)
        begin = self._rng.choice(
            [
                *[self._deposit] * 4,
                self._wrong_memo,
                self._wrong_amount,
                self._wrong_asset,
                self._leave,
                self._leave,
                self._take_rewards,
                self._give_up,
            ]
        )
        self.begin(begin(self._rng.choice(PEOPLE)))

    def begin(self, deed: Deed) -> None:
        """Do something as far as it goes now; the rest when the instance is back."""
        self.waiting.append(deed)
        deed.go_on()
        self.waiting.remove(deed)
        self.over.append(deed)

    def finish(self) -> None:
        """Only go on with what is open. Raises GoneError."""
        while self.waiting:
            self.waiting[0].go_on()
            self.over.append(self.waiting.pop(0))

    def promised(self) -> list[str]:
        """Ids of every deposit and withdrawal that the instance has told somebody of."""
        answers = [deed.answers.get(what) for deed in self.over for what in ("deposit", "withdrawal")]
        return [str(answer["id"]) for answer in answers if answer is not None]

    def unexpected(self) -> list[str]:
        """Refusals that nobody should have met."""
        return [
            f"{deed.name}: {deed.refusal}"
            for deed in self.over
            if deed.refusal is not None and deed.refusal.code not in HARMLESS
        ]

    # What they do.

    def _deposit(self, person: str) -> Deed:
        return self._payment(person, "deposit", lambda intent: ("USDT", self._text(intent), intent["memo"]))

    def _wrong_memo(self, person: str) -> Deed:
        return self._payment(person, "wrong memo", lambda intent: ("USDT", self._text(intent), "MM-NOBODY"))

    def _wrong_amount(self, person: str) -> Deed:
        def pay(intent: dict[str, Any]) -> tuple[str, str, str]:
            return "USDT", str(Decimal(self._text(intent)) - Decimal("0.5")), intent["memo"]

        return self._payment(person, "wrong amount", pay)

    def _wrong_asset(self, person: str) -> Deed:
        return self._payment(person, "wrong asset", lambda intent: ("BTC", "0.001", intent["memo"]))

    def _payment(
        self, person: str, what: str, paid: Callable[[dict[str, Any]], tuple[str, str, str]]
    ) -> Deed:
        self._count += 1
        key, wallet = f"chaos-{self._count}", DEMO_WALLETS[person].lower()
        amount = str(self._rng.choice([25, 60, 140, 275]))
        deed = Deed(f"{what} {key} of {person}", [])

        def fund() -> None:
            self._instance.fund(wallet, f"{key}-usdt", "USDT", amount)
            self._instance.fund(wallet, f"{key}-btc", "BTC", "0.001")

        def announce() -> None:
            body = {"pool": POOL, "asset": "USDT", "amount": amount, "key": key}
            deed.answers["deposit"] = self._instance.as_person(person, "POST", "me/deposits", body)

        def pay() -> None:
            intent = deed.answers["deposit"]
            # A repeated announcement may find the deposit further on; how to pay is told once.
            deed.answers.setdefault("pay", intent["pay"])
            if deed.answers["pay"] is not None:
                asset, sum_, memo = paid(deed.answers["pay"])
                deed.answers["paid"] = self._instance.pay(wallet, key, asset, sum_, memo)

        deed.steps = [fund, announce, pay]
        return deed

    def _leave(self, person: str) -> Deed:
        self._count += 1
        key, shares = f"chaos-{self._count}", str(self._rng.choice([5, 40, 400]))
        deed = Deed(f"withdrawal {key} of {person}", [])

        def leave() -> None:
            body = {"pool": POOL, "shares": shares, "key": key}
            deed.answers["withdrawal"] = self._instance.as_person(person, "POST", "me/withdrawals", body)

        deed.steps = [leave]
        return deed

    def _take_rewards(self, person: str) -> Deed:
        self._count += 1
        key = f"chaos-{self._count}"
        deed = Deed(f"rewards {key} of {person}", [])

        def look() -> None:
            held = self._instance.as_person(person, "GET", "me/positions")["balances"]
            deed.answers["free"] = next(
                (
                    Decimal(line["amount"]) - Decimal(line["held"])
                    for line in held
                    if line["asset"] == "rail:USDT"
                ),
                Decimal(0),
            )

        def take() -> None:
            if deed.answers["free"] <= 0:
                return
            body = {"asset": "rail:USDT", "amount": f"{deed.answers['free']:f}", "key": key}
            deed.answers["withdrawal"] = self._instance.as_person(
                person, "POST", "me/balances/withdraw", body
            )

        deed.steps = [look, take]
        return deed

    def _give_up(self, person: str) -> Deed:
        """Cancel what still waits for a payment, whether or not one is on its way."""
        self._count += 1
        deed = Deed(f"giving up {self._count} of {person}", [])

        def look() -> None:
            rows = self._instance.as_person(person, "GET", "me/deposits?limit=1000")
            waiting = [row["id"] for row in rows if row["state"] == "waiting"]
            deed.steps[1:1] = [partial(cancel, name) for name in waiting]

        def cancel(deposit: str) -> None:
            try:
                self._instance.as_person(person, "POST", f"me/deposits/{deposit}/cancel")
            except RefusedError as refused:
                if refused.code != "request_state":  # it was paid meanwhile
                    raise

        deed.steps = [look]
        return deed

    @staticmethod
    def _text(intent: dict[str, Any]) -> str:
        return str(intent["amount"])
