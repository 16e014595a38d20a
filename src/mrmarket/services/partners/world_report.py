"""What came of a run in a sandbox world, for its summary."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from mrmarket.campaigns.identity import IdentityReport, withdrawn
from mrmarket.campaigns.repository import CampaignRepository
from mrmarket.core.decimals import format_units
from mrmarket.store.sql import Sql


class WorldReport(msgspec.Struct, frozen=True, kw_only=True):
    """Since the data folder began. Amounts are exact decimals by asset."""

    campaigns_joined: int
    rewards_received: dict[str, str]
    credited: dict[str, str]
    """To users."""
    withdrawn: dict[str, str]
    """Of assets that rewards come in: what has left, and is confirmed."""
    in_transit: dict[str, str]
    """Received, and neither given to anybody nor lost."""
    identity_ok: bool
    """Whether every unit that was received is credited, charged, left over, in transit or retracted."""
    identity_faults: list[str]
    """A sentence for everything that does not hold."""


def world_report(sql: Sql, found: IdentityReport) -> WorldReport:
    """Put it together; `found` is of the same books."""
    decimals: dict[str, int] = dict(sql.rows("SELECT id, decimals FROM assets"))
    joined = [one for one in CampaignRepository(sql).campaigns() if one.joined_ms]
    return WorldReport(
        campaigns_joined=len(joined),
        rewards_received=_amounts({one.asset: one.received for one in found.assets}, decimals),
        credited=_amounts({one.asset: one.credited for one in found.assets}, decimals),
        withdrawn=_amounts(withdrawn(sql), decimals),
        in_transit=_amounts({one.asset: one.in_transit for one in found.assets}, decimals),
        identity_ok=found.ok,
        identity_faults=list(found.faults),
    )


def _amounts(units: Mapping[str, int], decimals: Mapping[str, int]) -> dict[str, str]:
    return {asset: format_units(count, decimals[asset]) for asset, count in units.items()}
