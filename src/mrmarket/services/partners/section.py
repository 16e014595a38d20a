"""`[vault]`, `[campaigns]`, `[mixin]` and `[prices]` of the configuration."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Final, Literal

import msgspec

from mrmarket.campaigns.offer import Measure
from mrmarket.campaigns.terms import Limits
from mrmarket.core.errors import InvalidInputError
from mrmarket.core.money import Asset
from mrmarket.partners.chains.settings import ChainSettings, SpendingLimit, TokenSettings, VaultSettings

DAY_S: Final = 86_400
MIXIN: Final = "mixin"
"""Namespace of the Mixin rail's assets."""
MIXIN_DECIMALS: Final = 8
"""Inside of Mixin every asset has so many."""
MIXIN_HOME: Final = "https://api.mixin.one"

Word = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$")]
Seconds = Annotated[int, msgspec.Meta(ge=1, le=31 * DAY_S)]


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class VaultSection(_Section, frozen=True):
    """`[vault]`: the account that campaigns pay, one on all chains. Its key is never in this file."""

    key_file: str = ""
    """Web3 Secret Storage file of version 3; empty: the key is in the variable `key_env`."""
    password_env: str = "MRMARKET_VAULT_PASSWORD"  # noqa: S105 - the name of a variable, not a secret
    """Variable with the password of the key file."""
    key_env: str = "MRMARKET_VAULT_KEY"
    """Variable with the key itself, 64 hexadecimal digits."""
    limits: dict[Word, Decimal] = {}
    """Whole tokens by code that may leave within `limit_window_s`; a token without a limit is not moved."""
    destinations: list[str] = []
    """Where it may pay to. Empty: our own deposit addresses at Mixin, each as it was first told."""
    limit_window_s: Seconds = DAY_S
    lease_s: Annotated[int, msgspec.Meta(ge=5, le=3_600)] = 60
    rebroadcast_s: Seconds = 15
    stuck_s: Seconds = 120
    max_replacements: Annotated[int, msgspec.Meta(ge=0, le=20)] = 5
    gas_margin_percent: Annotated[int, msgspec.Meta(ge=0, le=400)] = 20

    def __post_init__(self) -> None:
        for code, most in self.limits.items():
            if not most.is_finite() or most <= 0:
                raise ValueError(f"limits.{code}: give how many whole tokens may leave, such as 1000")

    def settings(self, chain: ChainSettings, addresses: list[str]) -> VaultSettings:
        """What the vault may do on one chain; `addresses` are those of our own that are known there."""
        limits = [
            SpendingLimit(token=token.address, units=int(self.limits[token.code].scaleb(token.decimals)))
            for token in chain.tokens
            if token.code in self.limits
        ]
        return VaultSettings(
            destinations=self.destinations or addresses,
            limits=limits,
            limit_window_s=self.limit_window_s,
            lease_s=self.lease_s,
            rebroadcast_s=self.rebroadcast_s,
            stuck_s=self.stuck_s,
            max_replacements=self.max_replacements,
            gas_margin_percent=self.gas_margin_percent,
        )


class CampaignExchange(_Section, frozen=True):
    """`[[campaigns.exchanges]]`: where campaigns may be joined, and the key that HuFi looks with."""

    name: Word
    """As HuFi calls it, such as `mexc`."""
    account: Word = "default"
    """Which of our accounts trades there: `default`, or a name of `[[accounts]]`."""
    read_key_env: str = "MRMARKET_HUFI_API_KEY"
    read_secret_env: str = "MRMARKET_HUFI_API_SECRET"  # noqa: S105 - the name of a variable, not a secret
    """Variables with a key that can only look. Empty variables: a key is registered already, or by hand."""
    extra_env: str = ""
    """Variable with bitmart's memo or kucoin's passphrase."""


class CampaignLimits(_Section, frozen=True):
    """`[campaigns.limits]`: what may be done for the sake of campaigns. Money is in the market's quote."""

    max_spread_bps: int = 50
    min_spread_bps: int = 1
    max_inventory: Decimal = Decimal(1_000)
    max_cycle_volume: Decimal = Decimal(1_000_000)
    max_cost_share: Decimal = Decimal("0.8")
    volume_share: Decimal = Decimal(1)

    def __post_init__(self) -> None:
        try:
            self.limits()
        except InvalidInputError as refused:
            raise ValueError(str(refused)) from None

    def limits(self) -> Limits:
        """The same for campaigns."""
        return Limits(**msgspec.structs.asdict(self))


class CampaignsSection(_Section, frozen=True):
    """`[campaigns]`: taking part in HuFi's campaigns."""

    enabled: bool = False
    auto_join: bool = True
    """Whether campaigns that fit the rules are joined without a word of the owner."""
    launcher_url: str = "https://cl.hu.finance"
    oracle_url: str = "https://ro.hu.finance"
    chains: list[Word] = []
    """Names of `[[chains]]` whose campaigns are looked at; empty: all."""
    exchanges: list[CampaignExchange] = []
    measures: list[Literal["volume", "ranked_volume", "threshold_volume", "balance", "threshold_balance"]] = (
        msgspec.field(default_factory=lambda: ["volume"])
    )
    """What a campaign may count."""
    tokens: list[Word] = []
    """Codes of tokens that are worth having; empty: every token of the chains."""
    min_net_value: Decimal = Decimal(0)
    """Least expected reward less its cost, over the whole campaign, in the market's quote."""
    max_joined: Annotated[int, msgspec.Meta(ge=0, le=100)] = 10
    min_left_s: Annotated[int, msgspec.Meta(ge=0)] = 3_600
    """A campaign that is over sooner is not begun."""
    limits: CampaignLimits = CampaignLimits()
    only_for_campaigns: bool = False
    """Whether runs pause while no campaign wants anything of them."""
    pool: str = ""
    """Whose depositors are rewarded; empty: the pool that trades."""
    fee_bps: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 0
    """What the owner keeps of rewards."""
    cycle_s: Annotated[int, msgspec.Meta(ge=5, le=31 * DAY_S)] = DAY_S
    """How long a campaign's cycle lasts; rewards move on once in each."""
    every_s: Annotated[float, msgspec.Meta(ge=0.1, le=3_600)] = 30.0
    """Between two looks at campaigns."""
    maker_fee_ppm: int = 0
    taker_fee_ppm: int = 1_000
    spread_cost_ppm: int = 200
    """What a unit of volume is assumed to cost, in millionths, until our own trades show it."""

    def __post_init__(self) -> None:
        if not self.min_net_value.is_finite():
            raise ValueError("min_net_value: give a number, such as 5")

    def wanted_measures(self) -> frozenset[Measure]:
        """What a campaign may count."""
        return frozenset(Measure(name) for name in self.measures)


class MixinAssetSection(_Section, frozen=True):
    """`[[mixin.assets]]`: an asset of Mixin under our code."""

    code: Word
    """Such as `USDT-POLYGON`; a chain's token of the same code moves on into this asset."""
    asset_id: Annotated[
        str, msgspec.Meta(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")
    ]
    """Mixin's UUID of it, in small letters."""


class MixinSection(_Section, frozen=True):
    """`[mixin]`: the bot that users are paid by. Without assets there is none."""

    keystore: str = ""
    """File that Mixin's dashboard gave; empty: its content is in the variable `keystore_env`."""
    keystore_env: str = "MRMARKET_MIXIN_KEYSTORE"
    url: str = MIXIN_HOME
    assets: list[MixinAssetSection] = []

    @property
    def is_used(self) -> bool:
        """Whether there is a bot."""
        return bool(self.assets)


class PricesSection(_Section, frozen=True):
    """`[prices]`: what rewards are worth. The quote asset itself is worth one."""

    coins: dict[Word, str] = {}
    """CoinGecko's id by our code, such as `HMT = "human-protocol"`; without coins it is not asked."""
    coingecko_plan: Literal["keyless", "demo", "pro"] = "keyless"
    coingecko_key_env: str = "MRMARKET_COINGECKO_KEY"
    coingecko_url: str = ""
    calls_a_minute: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 5
    stale_s: Annotated[int, msgspec.Meta(ge=1, le=DAY_S)] = 300
    apart_bps: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 200
    at_least: Annotated[int, msgspec.Meta(ge=1, le=10)] = 1


class Partners(msgspec.Struct, frozen=True):
    """All of it, as those take it who open partners."""

    chains: list[ChainSettings]
    """`[[chains]]`."""
    vault: VaultSection
    campaigns: CampaignsSection
    mixin: MixinSection
    prices: PricesSection

    @property
    def is_used(self) -> bool:
        """Whether anything of it is configured."""
        return bool(self.chains) or self.mixin.is_used

    def token(self, chain_id: int, address: str) -> TokenSettings | None:
        """A configured token; None for another."""
        chain = next((one for one in self.chains if one.chain_id == chain_id), None)
        return None if chain is None else chain.token(address.lower())

    def asset_of(self, chain_id: int, address: str) -> Asset | None:
        """The ledger's asset that a token's rewards are; None where no rail of ours carries it."""
        token = self.token(chain_id, address)
        if token is None or not any(asset.code == token.code for asset in self.mixin.assets):
            return None
        return Asset(MIXIN, token.code, MIXIN_DECIMALS)

    def campaign_chains(self) -> list[ChainSettings]:
        """Chains whose campaigns are looked at."""
        wanted = self.campaigns.chains
        return [chain for chain in self.chains if not wanted or chain.name in wanted]

    def wanted_tokens(self) -> frozenset[str]:
        """Rewards worth having, as `chain:address`."""
        wanted = self.campaigns.tokens
        return frozenset(
            f"{chain.chain_id}:{token.address}"
            for chain in self.campaign_chains()
            for token in chain.tokens
            if not wanted or token.code in wanted
        )


def objections(partners: Partners, pools: list[str], accounts: list[str]) -> list[str]:
    """What in these sections cannot work, each in one line that names the key.

    Args:
        partners: the sections.
        pools: names of the instance's.
        accounts: labels of the accounts that it trades on.
    """
    found: list[str] = []
    names = [chain.name for chain in partners.chains]
    ids = [chain.chain_id for chain in partners.chains]
    codes = [token.code for chain in partners.chains for token in chain.tokens]
    assets = [asset.code for asset in partners.mixin.assets]
    campaigns = partners.campaigns
    if len(set(names)) < len(names) or len(set(ids)) < len(ids):
        found.append("chains: each chain needs a name and an id of its own")
    if len(set(codes)) < len(codes):
        found.append("chains: each token needs a code of its own, such as USDT-POLYGON and USDT-BASE")
    if len(set(assets)) < len(assets) or len({one.asset_id for one in partners.mixin.assets}) < len(assets):
        found.append("mixin.assets: each asset needs a code and an id of its own")
    found += [
        f"campaigns.chains: there is no chain {name!r}" for name in campaigns.chains if name not in names
    ]
    found += [
        f"campaigns.tokens: no chain has a token {code!r}" for code in campaigns.tokens if code not in codes
    ]
    found += [
        f"vault.limits: no chain has a token {code!r}" for code in partners.vault.limits if code not in codes
    ]
    found += [
        f"campaigns.exchanges: there is no account {exchange.account!r}; name it in [[accounts]]"
        for exchange in campaigns.exchanges
        if exchange.account not in accounts
    ]
    if campaigns.pool and campaigns.pool not in pools:
        found.append(f"campaigns.pool: there is no pool {campaigns.pool!r}")
    if campaigns.enabled and not partners.campaign_chains():
        found.append("campaigns.enabled: campaigns pay on a chain; name one in [[chains]]")
    if campaigns.enabled and not any(code in assets for code in codes):
        found.append(
            "campaigns.enabled: rewards reach users over Mixin; name an asset in [[mixin.assets]] under the"
            " code of a token in [[chains]]"
        )
    return found
