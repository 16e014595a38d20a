"""What follows from a receipt: a status alone is not believed."""

from __future__ import annotations

from typing import Any

import pytest

from mrmarket.partners.chains.payment import Payment, PaymentState
from mrmarket.partners.chains.port import Receipt
from mrmarket.partners.chains.transfer import TRANSFER_TOPIC, topic_of
from mrmarket.partners.chains.vault_rules import Evidence, Step, judge
from partners.chains.chain_samples import (
    CHAIN_ID,
    DESTINATION,
    STRANGER,
    TOKEN,
    WALLET,
    chain_settings,
    vault_settings,
)

PAYMENT = Payment("p", CHAIN_ID, WALLET, 0, TOKEN, DESTINATION, 100, 50_000, PaymentState.MINED, 1, 1)


def log(recipient: str = DESTINATION, units: int = 100, token: str = TOKEN) -> dict[str, Any]:
    """The token's word on a transfer from the vault."""
    return {
        "address": token,
        "topics": [TRANSFER_TOPIC, topic_of(WALLET), topic_of(recipient)],
        "data": f"0x{units:064x}",
        "transactionHash": "0x01",
        "logIndex": "0x0",
        "blockNumber": "0x5",
        "blockHash": "0xaa",
    }


@pytest.mark.parametrize(
    ("logs", "state"),
    [
        ((log(),), PaymentState.FINAL),
        ((log(STRANGER, 1), log()), PaymentState.FINAL),
        ((), PaymentState.FAILED),
        ((log(token=STRANGER),), PaymentState.FAILED),
        ((log(units=99),), PaymentState.UNKNOWN),
        ((log(recipient=STRANGER),), PaymentState.UNKNOWN),
    ],
)
def test_a_transaction_is_judged_by_what_the_token_says_it_moved(
    logs: tuple[dict[str, Any], ...], state: PaymentState
) -> None:
    """One that succeeded and moved nothing has failed; one that moved something else waits for a person."""
    receipt = Receipt("0x01", 5, "0xaa", succeeded=True, gas=1, price_wei=1, logs=logs)
    verdict = judge(PAYMENT, [], Evidence(8, (receipt,), 1, 1), chain_settings(), vault_settings(), 2)
    assert (verdict.step, verdict.state) == (Step.NOTE, state)
