"""What Prometheus sees of partners."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from mrmarket.campaigns.entity import Stage
from mrmarket.campaigns.repository import CampaignRepository
from mrmarket.money.rewards.afar import units_afar
from mrmarket.services.partners.core import PartnerCore
from mrmarket.services.telemetry.reading import Reading, Source
from mrmarket.store.sql import SqlReader


def partner_source(core: PartnerCore) -> Source:
    """How far chains are read, and what does not work; to be read on the event loop."""

    def read() -> Iterator[Reading]:
        for room in core.chains.values():
            if room.sight is not None:
                yield Reading("mm_chain_lag_blocks", room.sight.lag, (room.chain.name,))
        yield Reading("mm_partner_troubles", len(core.troubles.standing()))

    return read


def campaign_source(reader: SqlReader) -> Source:
    """Campaigns by stage, transfers under way, and rewards that have not arrived; to be read in a thread."""

    def read() -> list[Reading]:
        with reader.snapshot() as sql:
            repository = CampaignRepository(sql)
            counts, sweeps, afar = repository.count_by_stage(), repository.open_sweeps(), units_afar(sql)
            decimals: dict[str, int] = dict(sql.rows("SELECT id, decimals FROM assets"))
        return [
            *(Reading("mm_campaigns", counts.get(stage, 0), (stage.value,)) for stage in Stage),
            Reading("mm_sweeps_open", len(sweeps)),
            *(
                Reading("mm_reward_afar", float(Decimal(units).scaleb(-decimals[asset])), (asset,))
                for asset, units in sorted(afar.items())
            ),
        ]

    return read
