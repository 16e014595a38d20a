"""The vault over a chain in memory: what it refuses, and how a payment comes to its end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mrmarket.core.clock import NS_PER_S, ManualClock
from mrmarket.core.errors import InvalidInputError, MrMarketError
from mrmarket.partners.chains import payments
from mrmarket.partners.chains.book import ChainBook
from mrmarket.partners.chains.errors import (
    ChainSettingsError,
    DeepReorganisationError,
    GasCeilingError,
    PaymentConflictError,
    ShortOfFundsError,
    SpendingLimitError,
    TokenRefusedError,
    VaultFenceError,
    VaultHaltedError,
    VaultHeldError,
)
from mrmarket.partners.chains.observations import Observation, Observations
from mrmarket.partners.chains.payment import Payment, PaymentRequest, PaymentState
from mrmarket.partners.chains.sweep import Sweep, batch_key
from mrmarket.partners.chains.transfer import TransferKey
from mrmarket.partners.chains.vault import Vault
from mrmarket.partners.chains.watcher import Watcher
from partners.chains.chain_samples import (
    CHAIN_ID,
    DESTINATION,
    OTHER_TOKEN,
    STRANGER,
    TOKEN,
    WALLET,
    FakeChain,
    FakeSigner,
    Move,
    chain_settings,
    request,
    vault_settings,
)


class Bench:
    """A vault, its chain, its clock and its file."""

    def __init__(self, path: Path) -> None:
        self.chain = FakeChain()
        self.chain.mine(count=5)
        self.clock = ManualClock()
        self.book = ChainBook.open(path)
        self.signer = FakeSigner(self.chain)
        self.vault = self.another("first")

    def another(self, owner: str, **changes: Any) -> Vault:
        """A vault of the same account on the same file."""
        settings = vault_settings(**changes)
        return Vault(chain_settings(), settings, self.chain, self.signer, self.book, self.clock, owner)

    def find(self, key: str = "p1") -> Payment:
        """A payment as it stands."""
        with self.book.reading() as sql:
            found = payments.find_payment(sql, key)
        assert found is not None
        return found

    async def until_over(self, key: str = "p1", steps: int = 30) -> Payment:
        """Blocks come and the vault looks until the payment is over."""
        for _ in range(steps):
            self.chain.mine()
            self.clock.advance(20 * NS_PER_S)
            await self.vault.step()
            if self.find(key).state.is_over:
                return self.find(key)
        raise AssertionError(self.find(key))


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """An open vault."""
    made = Bench(tmp_path / "chains.db")
    await made.vault.open()
    yield made
    made.book.close()


async def test_a_payment_goes_from_broadcast_over_mined_to_final(bench: Bench) -> None:
    """It is final when as many blocks follow as the chain demands, and what it cost is known."""
    begun = await bench.vault.submit(request())
    assert (begun.state, begun.nonce) == (PaymentState.BROADCAST, 0)
    bench.chain.mine()
    assert [one.state for one in await bench.vault.step()] == [PaymentState.MINED]
    assert await bench.vault.step() == []
    bench.chain.mine(count=3)
    [done] = await bench.vault.step()
    assert (done.state, done.cost_wei) == (PaymentState.FINAL, 40_000 * 12)
    assert bench.chain.paid(WALLET) == [(done.tx_hash, 100)]
    assert await bench.vault.step() == []


async def test_the_same_key_is_the_same_payment(bench: Bench) -> None:
    """However often it is asked for; with other content it is a mistake."""
    first = await bench.vault.submit(request())
    assert await bench.vault.submit(request()) == first
    with pytest.raises(PaymentConflictError):
        await bench.vault.submit(request(units=101))
    await bench.until_over()
    assert (await bench.vault.submit(request())).state is PaymentState.FINAL
    assert len(bench.chain.paid(WALLET)) == 1


async def test_nonces_follow_one_another(bench: Bench) -> None:
    """Also the first after somebody had used the key before."""
    bench.chain.foreign(WALLET, 0)
    bench.chain.mine()
    nonces = [(await bench.vault.submit(request(f"p{number}"))).nonce for number in range(3)]
    assert nonces == [1, 2, 3]


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (request(destination=STRANGER), "vault_destination_refused"),
        (request(token=OTHER_TOKEN), "vault_token_refused"),
        (request(units=1_001), "vault_limit_reached"),
    ],
)
async def test_what_is_not_allowed_is_refused_before_a_nonce_is_used(
    bench: Bench, wanted: PaymentRequest, code: str
) -> None:
    """By destination, token and limit, each with its code; nothing is signed."""
    with pytest.raises(MrMarketError) as caught:
        await bench.vault.submit(wanted)
    assert caught.value.code == code
    assert bench.signer.signed == 0
    assert (await bench.vault.submit(request())).nonce == 0


async def test_the_limit_counts_what_left_within_the_window(bench: Bench) -> None:
    """What came to nothing does not count, and what is older than the window neither."""
    await bench.vault.submit(request("a", 900))
    with pytest.raises(SpendingLimitError) as caught:
        await bench.vault.submit(request("b", 200))
    assert caught.value.left_units == 100
    bench.clock.advance(86_401 * NS_PER_S)
    await bench.vault.submit(request("b", 200))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"would_revert": True}, "vault_would_revert"),
        ({"base_wei": 300 * 10**9}, "vault_gas_ceiling"),
        ({"held_units": 99}, "vault_short_of_funds"),
        ({"held_wei": 1}, "vault_short_of_funds"),
    ],
)
async def test_what_cannot_work_now_is_refused_before_a_nonce_is_used(
    bench: Bench, changes: dict[str, object], code: str
) -> None:
    """A contract that would refuse, dear gas, too few tokens or coins."""
    for name, value in changes.items():
        setattr(bench.chain, name, value)
    with pytest.raises(MrMarketError) as caught:
        await bench.vault.submit(request())
    assert caught.value.code == code
    assert bench.signer.signed == 0


async def test_a_quote_writes_and_signs_nothing(bench: Bench) -> None:
    """A dry run says nonce, gas and the most it can cost."""
    quote = await bench.vault.quote(request())
    assert (quote.nonce, quote.gas, quote.offer.max_fee_wei) == (0, 60_000, 22)
    assert quote.most_wei == 60_000 * 22
    with bench.book.reading() as sql:
        assert payments.find_payment(sql, "p1") is None
    assert bench.signer.signed == 0


async def test_more_gas_than_the_ceiling_is_refused(bench: Bench) -> None:
    """The margin counts too."""
    vault = bench.another("first", gas_margin_percent=1_000)
    with pytest.raises(GasCeilingError):
        await vault.quote(request())


async def test_a_refusal_by_the_contract_is_failed_and_moves_nothing(bench: Bench) -> None:
    """The gas is gone, the units are not, and the limit is free again."""
    await bench.vault.submit(request(units=900))
    bench.chain.reverting = True
    done = await bench.until_over()
    assert (done.state, done.succeeded) == (PaymentState.FAILED, False)
    bench.chain.reverting = False
    await bench.vault.submit(request("p2", 900))
    assert (await bench.until_over("p2")).state is PaymentState.FINAL
    assert len(bench.chain.paid(WALLET)) == 1


async def test_a_node_that_lost_it_is_offered_the_same_bytes_again(bench: Bench) -> None:
    """Nothing else is signed while the fee may still do."""
    bench.chain.deaf = True
    await bench.vault.submit(request())
    bench.chain.deaf = False
    bench.clock.advance(10 * NS_PER_S)
    await bench.vault.step()
    assert bench.signer.signed == 1
    assert len(bench.chain.offers) == 2
    assert len(set(bench.chain.offers)) == 1
    assert (await bench.until_over()).state is PaymentState.FINAL


async def test_a_stuck_payment_is_replaced_under_its_nonce_by_a_higher_fee(bench: Bench) -> None:
    """At least an eighth more each time, as often as allowed, never above the ceiling; one is paid."""
    await bench.vault.submit(request())
    for step in range(5):
        bench.chain.base_wei = 10**6 * 4**step
        bench.chain.mine()
        bench.clock.advance(61 * NS_PER_S)
        await bench.vault.step()
    with bench.book.reading() as sql:
        attempts = payments.attempts_of(sql, "p1")
    assert len(attempts) == 3
    assert all(later.max_fee_wei > 2 * 10**6 for later in attempts[1:])
    assert attempts[2].max_fee_wei * 8 >= attempts[1].max_fee_wei * 9
    bench.chain.base_wei = 10
    done = await bench.until_over()
    assert done.state is PaymentState.FINAL
    assert len(bench.chain.paid(WALLET)) == 1


async def test_at_the_ceiling_no_replacement_is_signed(bench: Bench) -> None:
    """The same bytes are offered until gas is cheaper."""
    await bench.vault.submit(request())
    bench.chain.base_wei = 10**12
    for _ in range(4):
        bench.chain.mine()
        bench.clock.advance(61 * NS_PER_S)
        await bench.vault.step()
        await bench.vault.step()
    with bench.book.reading() as sql:
        assert len(payments.attempts_of(sql, "p1")) <= 2
    bench.chain.base_wei = 10
    assert (await bench.until_over()).state is PaymentState.FINAL


async def test_a_reorganisation_takes_a_mined_payment_back_and_it_is_offered_again(bench: Bench) -> None:
    """Final is only what stays; the money leaves once."""
    await bench.vault.submit(request())
    bench.chain.mine()
    await bench.vault.step()
    bench.chain.drop(1)
    bench.chain.mine(count=2)
    [back] = await bench.vault.step()
    assert back.state is PaymentState.BROADCAST
    done = await bench.until_over()
    assert done.state is PaymentState.FINAL
    assert bench.chain.paid(WALLET) == [(done.tx_hash, 100)]
    assert bench.signer.signed == 1


async def test_a_nonce_that_somebody_else_used_is_unknown_and_then_replaced(bench: Bench) -> None:
    """Only when the other transaction is final is it certain that ours never happens."""
    bench.chain.deaf = True
    await bench.vault.submit(request())
    bench.chain.foreign(WALLET, 0)
    bench.chain.mine()
    assert [one.state for one in await bench.vault.step()] == [PaymentState.UNKNOWN]
    assert await bench.vault.step() == []
    done = await bench.until_over()
    assert done.state is PaymentState.REPLACED
    assert bench.chain.paid(WALLET) == []
    bench.chain.deaf = False
    assert (await bench.vault.submit(request("p2"))).nonce == 1


async def test_an_unknown_payment_comes_back_when_the_other_vanishes(bench: Bench) -> None:
    """A reorganisation may throw the stranger's transaction out as well."""
    bench.chain.deaf = True
    await bench.vault.submit(request())
    bench.chain.foreign(WALLET, 0)
    bench.chain.mine()
    await bench.vault.step()
    bench.chain.drop(1)
    bench.chain.pool.clear()
    bench.chain.deaf = False
    assert (await bench.until_over()).state is PaymentState.FINAL


async def test_of_two_instances_the_second_is_refused(bench: Bench) -> None:
    """While the first lives; afterwards the first can write nothing any more."""
    second = bench.another("second")
    with pytest.raises(VaultHeldError) as caught:
        await second.open()
    assert caught.value.owner == "first"
    bench.clock.advance(61 * NS_PER_S)
    await second.open()
    for refused in (bench.vault.submit(request()), bench.vault.step(), bench.vault.close()):
        with pytest.raises(VaultFenceError):
            await refused
    assert bench.signer.signed == 0
    assert (await second.submit(request())).state is PaymentState.BROADCAST
    await second.close()
    await bench.vault.open()
    assert (await bench.until_over()).state is PaymentState.FINAL
    assert len(bench.chain.paid(WALLET)) == 1


async def test_one_that_was_never_opened_can_write_nothing(bench: Bench) -> None:
    """The lease is not a formality."""
    await bench.vault.close()
    with pytest.raises(VaultFenceError):
        await bench.another("second").submit(request())
    assert bench.signer.signed == 0


async def test_a_halted_chain_begins_and_offers_nothing_and_still_looks(bench: Bench) -> None:
    """After a deep reorganisation no money moves; what is in blocks is still noted, and looked at again."""
    watcher = Watcher(
        chain_settings(start_block=1), bench.chain, Observations(bench.book), [WALLET], bench.clock
    )
    await bench.vault.submit(request())
    assert (await bench.until_over()).state is PaymentState.FINAL
    final_in = bench.find().block_number
    bench.chain.mine(count=4)
    while not (await watcher.step()).is_caught_up:
        pass
    bench.chain.deaf = True
    await bench.vault.submit(request("p2"))
    bench.chain.drop(len(bench.chain.blocks) - final_in)
    bench.chain.mine(count=20)
    with pytest.raises(DeepReorganisationError):
        await watcher.step()
    offers = len(bench.chain.offers)
    bench.clock.advance(1_000 * NS_PER_S)
    await bench.vault.step()
    with pytest.raises(VaultHaltedError):
        await bench.vault.submit(request("p3"))
    assert len(bench.chain.offers) == offers

    bench.chain.deaf = False
    await watcher.accept("owner")
    assert bench.find().state is PaymentState.BROADCAST, "what was final and is gone is open again"
    assert (await bench.until_over("p1")).state is PaymentState.FINAL
    assert (await bench.until_over("p2")).state is PaymentState.FINAL
    assert sorted(units for _, units in bench.chain.paid(WALLET)) == [100, 100]


async def test_a_sweep_moves_each_final_transfer_once_a_cycle_in_one_batch(bench: Bench) -> None:
    """Dust and what may not go stay; a second call in the cycle is the same payment."""
    watcher = Watcher(
        chain_settings(start_block=1), bench.chain, Observations(bench.book), [WALLET], bench.clock
    )
    sweep = Sweep(chain_settings(), bench.book, bench.vault)

    async def take() -> None:
        while not (await watcher.step()).is_caught_up:
            pass

    bench.chain.mine(Move("0x01", 40), Move("0x02", 50), Move("0x03", 9), Move("0x04", 70, token=OTHER_TOKEN))
    bench.chain.mine(Move("0x05", 60, sender=STRANGER), count=4)
    await take()

    def known(one: Observation) -> bool:
        return one.transfer.sender != STRANGER

    plan = sweep.plan(0, TOKEN, DESTINATION, known)
    assert plan is not None
    assert plan.request.units == 90
    first = await sweep.run(0, TOKEN.upper().replace("X", "x"), DESTINATION, known)
    assert first is not None
    assert (first.key, first.units) == (batch_key(CHAIN_ID, TOKEN, 0), 90)
    again = await sweep.run(0, TOKEN, DESTINATION)
    assert again == first
    assert await sweep.run(1, TOKEN, DESTINATION, known) is None

    second = await sweep.run(1, TOKEN, DESTINATION)
    assert second is not None
    assert second.units == 60
    with bench.book.reading() as sql:
        items = payments.items_of(sql, second.key)
        swept = payments.sweep_of(sql, TransferKey(CHAIN_ID, "0x01", 0))
        newest = payments.latest_payments(sql, CHAIN_ID, 1)
    assert [item.tx_hash for item in items] == ["0x05"]
    assert swept is not None
    assert (swept.key, newest[0].key) == (first.key, second.key)
    with pytest.raises(PaymentConflictError):
        await bench.vault.submit(request("twice"), items)
    with pytest.raises(TokenRefusedError):
        sweep.plan(2, OTHER_TOKEN, DESTINATION)


async def test_what_a_failed_batch_was_to_move_goes_in_the_next(bench: Bench) -> None:
    """Nothing is lost with it, and nothing is counted twice."""
    watcher = Watcher(
        chain_settings(start_block=1), bench.chain, Observations(bench.book), [WALLET], bench.clock
    )
    sweep = Sweep(chain_settings(), bench.book, bench.vault)
    bench.chain.mine(Move("0x01", 40), count=5)
    while not (await watcher.step()).is_caught_up:
        pass
    first = await sweep.run(0, TOKEN, DESTINATION)
    assert first is not None
    bench.chain.reverting = True
    assert (await bench.until_over(first.key)).state is PaymentState.FAILED
    bench.chain.reverting = False
    second = await sweep.run(1, TOKEN, DESTINATION)
    assert second is not None
    assert second.units == 40
    assert (await bench.until_over(second.key)).state is PaymentState.FINAL
    assert [units for _, units in bench.chain.paid(WALLET)] == [40]


async def test_what_is_owed_already_is_not_promised_twice(bench: Bench) -> None:
    """The balance less what is on its way is what is there."""
    bench.chain.held_units = 150
    bench.chain.deaf = True
    await bench.vault.submit(request())
    with pytest.raises(ShortOfFundsError) as caught:
        await bench.vault.submit(request("p2"))
    assert caught.value.held_units == 50


def test_a_request_is_checked_when_it_is_made() -> None:
    """Addresses, keys and amounts of the wrong form never reach the vault."""
    with pytest.raises(ChainSettingsError):
        PaymentRequest("p", TOKEN, "0x12", 1)
    with pytest.raises(InvalidInputError):
        PaymentRequest("white space", TOKEN, DESTINATION, 1)
    for units in (0, -1, 2**256):
        with pytest.raises(InvalidInputError):
            PaymentRequest("p", TOKEN, DESTINATION, units)
