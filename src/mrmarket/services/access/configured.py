"""Access settings out of an instance's configuration."""

from __future__ import annotations

from mrmarket.services.access.buckets import Rate
from mrmarket.services.access.settings import AccessSettings, Rates
from mrmarket.services.config_sections import Config


def access_settings(config: Config) -> AccessSettings:
    """Who gets in, by the configuration: the demo's people and open doors only where money is simulated."""
    open_desk = config.api.open_desk
    asked = config.access
    return AccessSettings(
        demo=config.play_money and config.rail.kind == "simulated",
        open_desk=config.play_money if open_desk is None else open_desk,
        public_url=config.api.public_url,
        chain_ids=frozenset(asked.chain_ids),
        rates=Rates(
            reads=Rate(asked.reads_per_s, asked.reads_burst),
            writes=Rate(asked.writes_per_s, asked.writes_burst),
            sign_ins=Rate(asked.sign_ins_per_s, asked.sign_ins_burst),
        ),
    )
