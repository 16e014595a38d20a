"""What `chains.db` says of transfers to our wallets, for whoever compares it with the books."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mrmarket.campaigns.identity import ChainStanding, ChainTransfer
from mrmarket.partners.chains.observations import Observations
from mrmarket.partners.chains.watch import Status


class ObservedWord:
    """Implements `mrmarket.campaigns.identity.ChainWord`."""

    def __init__(self, observations: Observations, chain_ids: Sequence[int], wallets: Sequence[str]) -> None:
        """`wallets` are those that rewards are paid to; transfers to others are somebody else's matter."""
        self._observations = observations
        self._chain_ids = tuple(chain_ids)
        self._wallets = frozenset(wallet.lower() for wallet in wallets)

    def transfers(self) -> Iterator[ChainTransfer]:
        """Every transfer that was ever seen, as it stands."""
        for chain_id in self._chain_ids:
            for status in Status:
                for one in self._observations.with_status(chain_id, status):
                    if one.transfer.recipient in self._wallets:
                        yield ChainTransfer(
                            chain_id=chain_id,
                            tx=one.transfer.key.tx_hash,
                            log=one.transfer.key.log_index,
                            token=one.transfer.token,
                            units=one.transfer.units,
                            standing=ChainStanding(status.value),
                        )
