"""The real contracts of HUMAN Protocol on a node of one's own, for the sandbox and the tests.

Their compiled form comes with the `human-protocol-sdk` package and is read from there at run time; nothing
of it is kept here. The node's own accounts sign, so no key is needed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Self

import msgspec
from aiohttp import ClientError

from mrmarket.core.errors import MrMarketError
from mrmarket.partners.chains.errors import ChainError, ChainUnreachableError
from mrmarket.partners.chains.http_provider import HttpProvider
from mrmarket.partners.chains.human.bulk_transfer import BULK_TRANSFER_TOPIC, payout_id_of
from mrmarket.partners.chains.web3_door import DISCARD, AsyncWeb3, Web3Exception

REQUESTER: Final = "hufi-campaign-launcher"
_PACKAGE: Final = "human_protocol_sdk"
_ESCROW: Final = "contracts/Escrow.sol/Escrow.json"
_HM_COIN: Final = "contracts/HMToken.sol/HMToken.json"
_SUPPLY: Final = 10**9
_STAKE: Final = 1_000
_LOCK_BLOCKS: Final = 1_000
_FEE_PERCENT: Final = "1"
_NO_ANSWER: Final = (ClientError, TimeoutError)


class ContractsMissingError(MrMarketError):
    """The contracts' compiled form is not installed."""

    code = "human_contracts_missing"

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(f"{problem}; install it with: pip install human-protocol-sdk")


class ContractRevertedError(ChainError):
    """A contract refused a transaction."""

    code = "human_call_reverted"

    def __init__(self, what: str, reason: str) -> None:
        self.what = what
        self.reason = reason
        super().__init__(f"{what} was refused by the contract ({reason}); see its source for the rule")


class Artifact(msgspec.Struct, frozen=True):
    """A compiled contract in the form of Hardhat."""

    abi: list[dict[str, Any]]
    bytecode: str


def read_artifact(name: str, folder: Path | None = None) -> Artifact:
    """A compiled contract by its path below the package's `artifacts` folder.

    Raises:
        ContractsMissingError: if the package or the file is not there.
    """
    if folder is None:
        spec = find_spec(_PACKAGE)
        if spec is None or spec.origin is None:
            raise ContractsMissingError(f"{_PACKAGE} is not installed")
        folder = Path(spec.origin).parent.parent / "artifacts"
    try:
        return msgspec.json.decode((folder / name).read_bytes(), type=Artifact)
    except (OSError, msgspec.MsgspecError) as error:
        raise ContractsMissingError(f"{name} of {_PACKAGE} cannot be read ({error})") from error


class Contracts(msgspec.Struct, frozen=True):
    """Where a deployment is, to find it again. Addresses in lower case."""

    token: str
    store: str
    factory: str


class HumanDeployment:
    """Token, staking, key-value store and escrow factory, deployed, with a launcher and three oracles.

    Accounts are the node's: the first deploys and launches, the next three are the reputation, recording and
    exchange oracle; `wallets` are the others.
    """

    def __init__(self, web: AsyncWeb3[Any], accounts: Sequence[str]) -> None:
        self.poll_s = 0.01
        """Between two questions whether a transaction is in a block."""
        self._web = web
        self.launcher, self.reputation, self.recording, self.exchange = accounts[:4]
        self.wallets = tuple(accounts[4:])
        self._token: Any = None
        self._escrows: Any = web.eth.contract(abi=read_artifact(_ESCROW).abi)
        self._tokens: Any = web.eth.contract(abi=read_artifact(_HM_COIN).abi)
        self._store: Any = None
        self._factory: Any = None

    @classmethod
    async def deploy(cls, url: str) -> Self:
        """Put the contracts on a node whose accounts are unlocked, stake for the launcher, set the fees."""
        web: AsyncWeb3[Any] = AsyncWeb3(HttpProvider(url))
        try:
            self = cls(web, await web.eth.accounts)
            await self._deploy_all()
        except BaseException:
            await web.provider.disconnect()
            raise
        return self

    @classmethod
    async def attach(cls, url: str, contracts: Contracts) -> Self:
        """Find contracts again that were deployed on a node before."""
        web: AsyncWeb3[Any] = AsyncWeb3(HttpProvider(url))
        try:
            self = cls(web, await web.eth.accounts)
            self._token = self._tokens(_sum(contracts.token))
            self._store = web.eth.contract(
                _sum(contracts.store), abi=read_artifact("contracts/KVStore.sol/KVStore.json").abi
            )
            self._factory = web.eth.contract(
                _sum(contracts.factory),
                abi=read_artifact("contracts/EscrowFactory.sol/EscrowFactory.json").abi,
            )
        except BaseException:
            await web.provider.disconnect()
            raise
        return self

    @property
    def contracts(self) -> Contracts:
        """Where everything is."""
        return Contracts(self.token, str(self._store.address).lower(), self.factory)

    @property
    def token(self) -> str:
        """Address of the token that stakes and pays, in lower case."""
        return str(self._token.address).lower()

    @property
    def factory(self) -> str:
        """Address of the escrow factory, in lower case."""
        return str(self._factory.address).lower()

    async def close(self) -> None:
        """Let go of the connection."""
        await self._web.provider.disconnect()

    async def new_token(self, name: str, decimals: int, holder: str | None = None) -> str:
        """Deploy another ERC-20 token; its whole supply goes to the launcher or the holder."""
        artifact = read_artifact(_HM_COIN)
        token = await self._create(artifact, _SUPPLY * 10**decimals, name, decimals, name)
        if holder is not None:
            await self._send(token.functions.transfer(_sum(holder), _SUPPLY * 10**decimals), self.launcher)
        return str(token.address).lower()

    async def transfer(self, token: str, sender: str, recipient: str, units: int) -> str:
        """Send units of any token from an account of the node; gives the transaction's hash."""
        contract = self._tokens(_sum(token))
        return await self._send(contract.functions.transfer(_sum(recipient), units), sender)

    async def set_fee(self, oracle: str, percent: str = _FEE_PERCENT) -> None:
        """Let an oracle say what it takes; an escrow refuses one that does not."""
        await self._send(self._store.functions.set("fee", percent), oracle)

    async def create_escrow(
        self,
        units: int,
        manifest: str,
        manifest_hash: str,
        token: str | None = None,
        reputation: str | None = None,
        recording: str | None = None,
        exchange: str | None = None,
    ) -> str:
        """Create, fund and set up an escrow in one transaction, as the launcher does; gives its address.

        Left out, the token is the network's own, and the oracles are the deployment's.
        """
        token = token or self.token
        contract = self._tokens(_sum(token))
        await self._send(contract.functions.approve(self._factory.address, units), self.launcher)
        call = self._factory.functions.createFundAndSetupEscrow(
            _sum(token),
            units,
            REQUESTER,
            _sum(reputation or self.reputation),
            _sum(recording or self.recording),
            _sum(exchange or self.exchange),
            manifest,
            manifest_hash,
        )
        tx_hash = await self._send(call, self.launcher)
        receipt = await self._receipt(tx_hash)
        launched = self._factory.events.LaunchedV2().process_receipt(receipt, errors=DISCARD)
        return str(launched[0]["args"]["escrow"]).lower()

    async def store_results(
        self, escrow: str, url: str, results_hash: str, reserve_units: int, sender: str | None = None
    ) -> str:
        """The recording oracle's word on a cycle; reserves what it will cost."""
        call = self._escrow(escrow, "storeResults(string,string,uint256)")(url, results_hash, reserve_units)
        return await self._send(call, sender or self.recording)

    async def bulk_pay_out(
        self,
        escrow: str,
        recipients: Sequence[str],
        units: Sequence[int],
        url: str,
        results_hash: str,
        payout_id: str,
        *,
        force_complete: bool = False,
    ) -> str:
        """The reputation oracle pays a batch; gives the transaction's hash."""
        call = self.pay_out_call(
            escrow, recipients, units, url, results_hash, payout_id, force_complete=force_complete
        )
        return await self._send(call, self.reputation)

    def pay_out_call(
        self,
        escrow: str,
        recipients: Sequence[str],
        units: Sequence[int],
        url: str,
        results_hash: str,
        payout_id: str,
        *,
        force_complete: bool = False,
    ) -> Any:
        """The call of a batch, not sent yet."""
        return self._escrow(escrow, "bulkPayOut(address[],uint256[],string,string,string,bool)")(
            [_sum(one) for one in recipients], list(units), url, results_hash, payout_id, force_complete
        )

    async def complete(self, escrow: str) -> str:
        """The reputation oracle closes an escrow: oracles get their fees, the launcher the rest."""
        return await self._send(self._escrow(escrow, "complete()")(), self.reputation)

    async def status(self, escrow: str) -> int:
        """The escrow's own number of its status: 0 launched, 1 pending, 2 partial, 3 paid, 4 complete."""
        return int(await self._look(self._escrow(escrow, "status()")().call()))

    async def results(self, escrow: str) -> tuple[str, str]:
        """Address and hash of the results that were stored last; empty where there are none."""
        url = await self._look(self._escrow(escrow, "intermediateResultsUrl()")().call())
        return str(url), str(await self._look(self._escrow(escrow, "intermediateResultsHash()")().call()))

    async def has_paid(self, escrow: str, payout_id: str) -> bool:
        """Whether a batch was paid, by the text that the reputation oracle gave it."""
        found = await self._look(
            self._web.eth.get_logs(
                {
                    "address": _sum(escrow),
                    "topics": [BULK_TRANSFER_TOPIC, payout_id_of(payout_id)],
                    "fromBlock": "earliest",
                }
            )
        )
        return bool(found)

    async def units(self, token: str, holder: str) -> int:
        """Base units of a token that somebody holds."""
        contract = self._tokens(_sum(token))
        return int(await self._look(contract.functions.balanceOf(_sum(holder)).call()))

    async def _deploy_all(self) -> None:
        self._token = await self._create(read_artifact(_HM_COIN), _SUPPLY * 10**18, "HUMAN", 18, "HMT")
        staking = await self._create(
            read_artifact("contracts/Staking.sol/Staking.json"), self._token.address, 1, _LOCK_BLOCKS, 1
        )
        self._store = await self._create(read_artifact("contracts/KVStore.sol/KVStore.json"))
        artifact = read_artifact("contracts/EscrowFactory.sol/EscrowFactory.json")
        plain = await self._create(artifact)
        initialise = plain.encode_abi("initialize", [staking.address, 1, self._store.address])
        proxy = await self._create(
            read_artifact("@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol/ERC1967Proxy.json"),
            plain.address,
            initialise,
        )
        self._factory = self._web.eth.contract(proxy.address, abi=artifact.abi)
        await self._send(self._token.functions.approve(staking.address, _STAKE), self.launcher)
        await self._send(staking.functions.stake(_STAKE), self.launcher)
        for oracle in (self.reputation, self.recording, self.exchange):
            await self.set_fee(oracle)

    async def _create(self, artifact: Artifact, *arguments: object) -> Any:
        contract: Any = self._web.eth.contract(abi=artifact.abi, bytecode=artifact.bytecode)
        tx_hash = await self._send(contract.constructor(*arguments), self.launcher)
        receipt = await self._receipt(tx_hash)
        return self._web.eth.contract(receipt["contractAddress"], abi=artifact.abi)

    async def _receipt(self, tx_hash: str) -> Any:
        return await self._look(self._web.eth.get_transaction_receipt(bytes.fromhex(tx_hash[2:])))  # type: ignore[arg-type]

    async def _look(self, question: Awaitable[Any]) -> Any:
        """What a node answers. Raises `ChainUnreachableError`, `ContractRevertedError`."""
        try:
            return await question
        except Web3Exception as error:
            raise ContractRevertedError("a question", str(error)) from error
        except _NO_ANSWER as error:
            raise ChainUnreachableError("human", type(error).__name__) from error

    async def _send(self, call: Any, sender: str) -> str:
        what = getattr(call, "fn_name", "a deployment")
        try:
            tx_hash = await call.transact({"from": _sum(sender)})
            receipt = await self._web.eth.wait_for_transaction_receipt(tx_hash, poll_latency=self.poll_s)
        except Web3Exception as error:
            raise ContractRevertedError(what, str(error)) from error
        except _NO_ANSWER as error:
            raise ChainUnreachableError("human", f"{what}: {type(error).__name__}") from error
        if receipt["status"] != 1:
            raise ContractRevertedError(what, "no reason given")
        return "0x" + bytes(tx_hash).hex()

    def _escrow(self, address: str, signature: str) -> Any:
        return self._escrows(_sum(address)).get_function_by_signature(signature)


def _sum(address: str) -> Any:
    from eth_utils.address import to_checksum_address  # noqa: PLC0415 - beside its only use

    return to_checksum_address(address)
