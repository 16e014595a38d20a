"""Opens each partner from its setting: for the instance, and for commands that read beside a running one."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mrmarket.partners.hufi.drift import DriftReport
from mrmarket.partners.hufi.launcher import LauncherClient
from mrmarket.partners.hufi.line import HufiLine
from mrmarket.partners.hufi.login import OracleSession, WalletSigner
from mrmarket.partners.hufi.recording_oracle import RecordingOracleClient
from mrmarket.partners.marketdata.coingecko_line import Plan
from mrmarket.partners.marketdata.price import PriceProvider
from mrmarket.partners.marketdata.settings import PriceDesk, PriceSettings, open_desk
from mrmarket.services.keys.errors import KeyStoreError
from mrmarket.services.keys.private_file import read_private
from mrmarket.services.partners.errors import PartnerOffError, PartnersMissingError, SecretMissingError
from mrmarket.services.partners.section import MIXIN, PricesSection
from mrmarket.services.partners.setting import PartnerSetting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mrmarket.partners.chains.book import ChainBook
    from mrmarket.partners.chains.node import EvmNode
    from mrmarket.partners.chains.port import ChainWriter, Signer
    from mrmarket.partners.chains.settings import ChainSettings
    from mrmarket.partners.chains.signer import LocalSigner
    from mrmarket.partners.chains.vault import Vault
    from mrmarket.partners.mixin.client import MixinClient
    from mrmarket.partners.mixin.keystore import Keystore
    from mrmarket.partners.mixin.rail import MixinRail

CHAINS_FILE: Final = "chains.db"
MIXIN_FILE: Final = "mixin.db"

_MOST_BYTES: Final = 64_000
_PAUSES_S: Final = (0.2, 0.4, 0.8, 1.6)
"""Several users are paid at once out of one coin; the change is back sooner than a caller gives up."""


@dataclass(slots=True)
class HufiDoors:
    """HuFi's two APIs, as our wallet sees them. Close them at the end."""

    launcher: LauncherClient
    oracle: RecordingOracleClient
    session: OracleSession
    drift: DriftReport
    lines: tuple[HufiLine, HufiLine]

    async def close(self) -> None:
        """Hang up."""
        for line in self.lines:
            await line.close()


def require_libraries() -> None:
    """Raises `PartnersMissingError` where chains and Mixin could not be spoken with."""
    if any(find_spec(name) is None for name in ("web3", "nacl", "blake3", "base58")):
        raise PartnersMissingError


def open_chains(setting: PartnerSetting) -> ChainBook:
    """`chains.db` of the data folder: what chains were seen to do, and what the vault paid.

    Raises:
        StoreError: if the file cannot be used.
    """
    require_libraries()
    from mrmarket.partners.chains.book import ChainBook  # noqa: PLC0415 - an extra, and slow to load

    return ChainBook.open(setting.folder / CHAINS_FILE)


def open_node(chain: ChainSettings) -> EvmNode:
    """A chain's nodes; nothing is asked yet."""
    require_libraries()
    from mrmarket.partners.chains.node import EvmNode  # noqa: PLC0415 - the same

    return EvmNode(chain)


def open_signer(setting: PartnerSetting) -> LocalSigner:
    """The vault's key; of a key file this takes some seconds, by design.

    Raises:
        SignerError: if the key is not there, cannot be read, or others may read it.
    """
    require_libraries()
    from mrmarket.partners.chains.signer import signer_from_environment, signer_from_keyfile  # noqa: PLC0415

    vault = setting.partners.vault
    if not vault.key_file:
        return signer_from_environment(setting.environ, vault.key_env)
    password = setting.environ.get(vault.password_env, "")
    if not password:
        raise SecretMissingError(f"the variable {vault.password_env}", "set it to the key file's password")
    return signer_from_keyfile(Path(vault.key_file), password)


def open_vault(
    setting: PartnerSetting,
    chain: ChainSettings,
    node: ChainWriter,
    signer: Signer,
    book: ChainBook,
    owner: str,
    addresses: Sequence[str],
) -> Vault:
    """The vault on one chain; nothing is asked, and nobody is kept out, before its own `open`.

    Args:
        setting: says what it may do.
        chain: which one.
        node: of that chain.
        signer: holds its key.
        book: where its payments are kept.
        owner: names this process; a command that only quotes may take any name.
        addresses: our own at the other end, see `Destinations.known`.
    """
    from mrmarket.partners.chains.vault import Vault  # noqa: PLC0415 - an extra, and slow to load

    allowed = setting.partners.vault.settings(chain, list(addresses))
    return Vault(chain, allowed, node, signer, book, setting.wall, owner)


def open_keystore(setting: PartnerSetting) -> Keystore:
    """The keys of the Mixin bot.

    Raises:
        PartnerOffError: if there is no bot.
        SecretMissingError, KeystoreError: if its keystore is not there, open to others, or none.
    """
    section = setting.partners.mixin
    if not section.is_used:
        raise PartnerOffError("mixin", "there is no bot; name its assets in [[mixin.assets]]")
    require_libraries()
    from mrmarket.partners.mixin.keystore import Keystore  # noqa: PLC0415 - an extra, and slow to load

    if section.keystore:
        path = Path(section.keystore)
        try:
            return Keystore.from_json(read_private(path, _MOST_BYTES))
        except FileNotFoundError:
            raise SecretMissingError(
                str(path), "there is no such file; download it from Mixin's dashboard"
            ) from None
        except KeyStoreError as error:
            raise SecretMissingError("mixin.keystore", str(error)) from error
    text = setting.environ.get(section.keystore_env, "")
    if not text:
        raise SecretMissingError(
            f"the variable {section.keystore_env}", "set it to the keystore, or name its file"
        )
    return Keystore.from_json(text)


def open_mixin(setting: PartnerSetting) -> MixinClient:
    """Mixin in the bot's name; nothing is asked yet. Raises as `open_keystore`."""
    keystore = open_keystore(setting)
    from mrmarket.partners.mixin.client import MixinClient  # noqa: PLC0415 - an extra, and slow to load

    return MixinClient(keystore, setting.wall, url=setting.partners.mixin.url)


def open_mixin_rail(setting: PartnerSetting, client: MixinClient) -> MixinRail:
    """Mixin as a payment rail, with its book of transfers in the data folder. Raises a StoreError."""
    from mrmarket.partners.mixin.book import TransferBook  # noqa: PLC0415 - an extra, and slow to load
    from mrmarket.partners.mixin.rail import MixinAsset, MixinRail  # noqa: PLC0415 - the same

    assets = [MixinAsset(one.code, one.asset_id) for one in setting.partners.mixin.assets]
    book = TransferBook(setting.folder / MIXIN_FILE)
    try:
        return MixinRail(client, book, setting.wall, assets, name=MIXIN, pauses_s=_PAUSES_S)
    except BaseException:
        book.close()
        raise


def open_hufi(setting: PartnerSetting, signer: LocalSigner) -> HufiDoors:
    """HuFi in the vault's name: it is the wallet that takes part. Nothing is asked yet."""
    section = setting.partners.campaigns
    drift = DriftReport(setting.wall)
    launcher = HufiLine(section.launcher_url, drift, setting.wall)
    oracle = HufiLine(section.oracle_url, drift, setting.wall)
    session = OracleSession(oracle, WalletSigner(signer.address, signer.sign_text), setting.wall)
    return HufiDoors(
        LauncherClient(launcher),
        RecordingOracleClient(oracle, session),
        session,
        drift,
        (launcher, oracle),
    )


def open_prices(setting: PartnerSetting, venues: Sequence[PriceProvider] = ()) -> PriceDesk:
    """Who tells what rewards are worth; nothing is asked yet. Raises InvalidInputError for a missing key."""
    return open_desk(price_settings(setting.partners.prices), setting.environ, setting.wall, venues)


def price_settings(section: PricesSection) -> PriceSettings:
    """`[prices]` as the providers take it."""
    return PriceSettings(
        coins=section.coins,
        coingecko_plan=Plan(section.coingecko_plan),
        coingecko_key_env=section.coingecko_key_env,
        coingecko_url=section.coingecko_url,
        calls_a_minute=section.calls_a_minute,
        stale_s=section.stale_s,
        apart_bps=section.apart_bps,
        at_least=section.at_least,
    )
