"""The adapter: against a server that answers as badly as one may, so that every answer is looked at."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web
from eth_hash.auto import keccak

from mrmarket.partners.chains.bloom import bits_of, bloom_of
from mrmarket.partners.chains.errors import (
    ChainAnswerRefusedError,
    ChainCallError,
    ChainError,
    ChainUnreachableError,
    WrongChainError,
)
from mrmarket.partners.chains.node import EvmNode
from mrmarket.partners.chains.transfer import TRANSFER_TOPIC, Block, topic_of
from partners.chains.chain_samples import CHAIN_ID, TOKEN, WALLET, chain_settings

BLOCK = {"number": "0x5", "hash": "0xAA", "parentHash": "0xBB", "timestamp": "0x9", "baseFeePerGas": "0x7"}


class Server:
    """A JSON-RPC server whose answers a test sets by method."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {"eth_chainId": hex(CHAIN_ID)}
        self.asked: list[tuple[str, Any]] = []
        self.hang: asyncio.Event | None = None
        self.status = 200
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one call."""
        call = await request.json()
        self.asked.append((call["method"], call["params"]))
        if self.hang is not None:
            await self.hang.wait()
        if self.status != 200:
            return web.Response(status=self.status)
        answer = self.answers.get(call["method"])
        if callable(answer):
            return web.Response(text=answer(), content_type="application/json")
        return web.json_response({"jsonrpc": "2.0", "id": call["id"], "result": answer})


@pytest.fixture
async def start() -> AsyncIterator[Callable[[], Any]]:
    """Starts servers on loopback."""
    runners = []

    async def started() -> Server:
        server = Server()
        app = web.Application()
        app.router.add_post("/", server.handle)
        runner = web.AppRunner(app)
        await runner.setup()
        runners.append(runner)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        return server

    yield started
    for runner in runners:
        await runner.cleanup()


@pytest.fixture
async def server(start: Callable[[], Any]) -> Server:
    """One of them."""
    made = await start()
    assert isinstance(made, Server)
    return made


@pytest.fixture
async def node(server: Server) -> AsyncIterator[EvmNode]:
    """A node behind it."""
    made = EvmNode(chain_settings(urls=[server.url]))
    yield made
    await made.close()


async def test_the_wrong_chain_is_refused_at_the_first_call(server: Server, node: EvmNode) -> None:
    """Nothing else is asked of it."""
    server.answers["eth_chainId"] = "0x1"
    for _ in range(2):
        with pytest.raises(WrongChainError) as caught:
            await node.open()
    assert (caught.value.wanted, caught.value.found) == (CHAIN_ID, 1)
    with pytest.raises(WrongChainError):
        await node.head()
    assert {method for method, _ in server.asked} == {"eth_chainId"}


async def test_when_a_node_fails_the_next_is_asked_and_stays(start: Callable[[], Any]) -> None:
    """A server that answers with an error page is as good as none."""
    first, second = await start(), await start()
    first.status = 503
    second.answers["eth_getBlockByNumber"] = BLOCK
    node = EvmNode(chain_settings(urls=[first.url, second.url]))
    assert await node.head() == Block(5, "0xaa", "0xbb", 9)
    await node.head()
    assert len(first.asked) == 1
    second.status = 503
    with pytest.raises(ChainUnreachableError):
        await node.head()
    second.status = 200
    assert (await node.block_at(5)) is not None
    await node.close()


async def test_an_answer_that_does_not_come_is_unreachable(server: Server) -> None:
    """Each call has its limit, and the error never holds the node's address."""
    node = EvmNode(chain_settings(urls=[server.url + "?key=SECRET"], timeout_ms=50))
    server.hang = asyncio.Event()
    with pytest.raises(ChainUnreachableError) as caught:
        await node.head()
    assert "SECRET" not in str(caught.value)
    assert caught.value.retryable
    server.hang.set()
    await node.close()


@pytest.mark.parametrize(
    ("method", "answer", "ask"),
    [
        ("eth_chainId", "x", lambda node: node.open()),
        ("eth_getBlockByNumber", None, lambda node: node.head()),
        ("eth_getBlockByNumber", {"number": 5}, lambda node: node.head()),
        ("eth_getBlockByNumber", "0x5", lambda node: node.block_at(5)),
        ("eth_getBlockByNumber", {}, lambda node: node.gas_price()),
        ("eth_getBalance", [], lambda node: node.coins(WALLET)),
        ("eth_getLogs", {}, lambda node: node.logs("0xaa", [])),
        ("eth_getLogs", [{}], lambda node: node.transfers(Block(5, "0xaa", "0xbb", 9), [WALLET])),
        ("eth_getTransactionReceipt", {"status": "0x1"}, lambda node: node.receipt("0x01")),
        ("eth_call", lambda: "[", lambda node: node.token_units(TOKEN, WALLET)),
        ("eth_call", lambda: "{}", lambda node: node.token_units(TOKEN, WALLET)),
    ],
)
async def test_an_answer_of_another_shape_is_refused(
    server: Server, node: EvmNode, method: str, answer: Any, ask: Callable[[EvmNode], Any]
) -> None:
    """With a code of its own; nothing is guessed."""
    server.answers[method] = answer
    with pytest.raises(ChainError) as caught:
        await ask(node)
    assert isinstance(caught.value, ChainAnswerRefusedError), caught.value


async def test_an_error_of_the_node_keeps_its_number_and_words(server: Server, node: EvmNode) -> None:
    """Cut to a length that a log can bear."""
    server.answers["eth_sendRawTransaction"] = lambda: (
        '{"jsonrpc": "2.0", "id": 1, "error": {"code": -32000, "message": "' + "nonce too low " * 100 + '"}}'
    )
    with pytest.raises(ChainCallError) as caught:
        await node.broadcast(b"\x01")
    assert caught.value.number == -32000
    assert caught.value.message.startswith("nonce too low")
    assert len(caught.value.message) == 300
    assert server.asked[-1] == ("eth_sendRawTransaction", ["0x01"])
    server.answers["eth_sendRawTransaction"] = lambda: '{"jsonrpc": "2.0", "id": 1, "error": "no"}'
    with pytest.raises(ChainCallError, match="no"):
        await node.broadcast(b"\x01")


async def test_transfers_are_of_the_block_that_was_asked_for(server: Server, node: EvmNode) -> None:
    """In the order of the block, without what is no ERC-20 transfer; another block's are refused."""

    def entry(index: int, **changes: Any) -> dict[str, Any]:
        topics = [TRANSFER_TOPIC, topic_of(TOKEN), topic_of(WALLET)]
        values = {
            "address": TOKEN.upper().replace("X", "x"),
            "topics": topics,
            "data": "0x" + "f" * 64,
            "transactionHash": "0x" + "1" * 64,
            "logIndex": hex(index),
            "blockNumber": "0x5",
            "blockHash": "0xaa",
        }
        return values | changes

    block = Block(5, "0xaa", "0xbb", 9)
    nft = entry(1, topics=[TRANSFER_TOPIC, topic_of(TOKEN), topic_of(WALLET), "0x1"], data="0x")
    server.answers["eth_getLogs"] = [entry(12), nft, entry(3)]
    found = await node.transfers(block, [WALLET])
    assert [transfer.key.log_index for transfer in found] == [3, 12]
    assert (found[0].units, found[0].token, found[0].recipient) == (2**256 - 1, TOKEN, WALLET)
    [[filters]] = [params for method, params in server.asked if method == "eth_getLogs"]
    assert filters == {"blockHash": "0xaa", "topics": [TRANSFER_TOPIC, None, [topic_of(WALLET)]]}

    server.answers["eth_getLogs"] = [entry(1, blockHash="0xcc")]
    with pytest.raises(ChainAnswerRefusedError):
        await node.transfers(block, [WALLET])


def log_of(recipient: str, index: int) -> dict[str, Any]:
    """A transfer to somebody in block 5."""
    return {
        "address": TOKEN,
        "topics": [TRANSFER_TOPIC, topic_of(TOKEN), topic_of(recipient)],
        "data": f"0x{7:064x}",
        "transactionHash": f"0x{index:02x}",
        "logIndex": hex(index),
        "blockNumber": "0x5",
        "blockHash": "0xaa",
    }


def header(*entries: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Block 5 as its header says, with these logs in it."""
    return BLOCK | {"hash": "0xaa", "logsBloom": hex(bloom_of(entries)), "transactions": ["0x1"]} | changes


FIVE = Block(5, "0xaa", "0xbb", 9)


async def test_a_bloom_that_excludes_us_is_enough(server: Server, node: EvmNode) -> None:
    """Most blocks: one question for the header, one for the logs, and none for a second opinion."""
    stranger = log_of("0x" + "9" * 40, 1)
    server.answers |= {"eth_getBlockByNumber": header(stranger), "eth_getLogs": []}
    assert await node.block_at(5) is not None
    assert await node.transfers(FIVE, [WALLET]) == []
    assert [method for method, _ in server.asked][-2:] == ["eth_getBlockByNumber", "eth_getLogs"]


async def test_logs_that_a_node_leaves_out_are_missed(server: Server, node: EvmNode) -> None:
    """Its receipts, which are whole by the block's own bloom, have one more: the answer is refused."""
    ours = log_of(WALLET, 1)
    server.answers |= {
        "eth_getBlockByHash": header(ours),
        "eth_getLogs": [],
        "eth_getBlockReceipts": [{"logs": [ours]}],
    }
    with pytest.raises(ChainAnswerRefusedError) as caught:
        await node.transfers(FIVE, [WALLET])
    assert "leaves logs of block 5 out" in str(caught.value)
    assert caught.value.retryable
    server.answers["eth_getLogs"] = [ours]
    assert [one.units for one in await node.transfers(FIVE, [WALLET])] == [7]


async def test_receipts_that_leave_logs_out_prove_nothing(server: Server, node: EvmNode) -> None:
    """Their bloom is not the block's: asked again later."""
    server.answers |= {
        "eth_getBlockByHash": header(log_of(WALLET, 1)),
        "eth_getLogs": [],
        "eth_getBlockReceipts": [{"logs": []}],
    }
    with pytest.raises(ChainAnswerRefusedError, match="not those of block 5"):
        await node.transfers(FIVE, [WALLET])


async def test_a_second_node_is_asked_where_there_is_one(start: Callable[[], Any]) -> None:
    """It contradicts the first, which is asked no more; where they agree, that is believed."""
    first, second = await start(), await start()
    ours = log_of(WALLET, 1)
    for one in (first, second):
        one.answers |= {"eth_getBlockByHash": header(ours), "eth_getLogs": [ours]}
    first.answers["eth_getLogs"] = []
    node = EvmNode(chain_settings(urls=[first.url, second.url]))
    with pytest.raises(ChainAnswerRefusedError):
        await node.transfers(FIVE, [WALLET])
    first.answers["eth_getLogs"] = [ours]
    assert len(await node.transfers(FIVE, [WALLET])) == 1
    assert "eth_getBlockReceipts" not in [method for method, _ in (*first.asked, *second.asked)]
    second.status = 503
    first.answers["eth_getBlockReceipts"] = [{"logs": [ours]}]
    assert len(await node.transfers(FIVE, [WALLET])) == 1
    await node.close()


async def test_a_node_that_has_no_receipts_of_blocks_is_believed(server: Server, node: EvmNode) -> None:
    """There is nobody else to ask; the log says so. A chain without blooms is looked at in the same way."""
    refusal = '{"jsonrpc": "2.0", "id": 1, "error": {"code": -32601, "message": "unknown method"}}'
    server.answers |= {
        "eth_getBlockByHash": header(logsBloom="0x0"),
        "eth_getLogs": [log_of(WALLET, 1)],
        "eth_getBlockReceipts": lambda: refusal,
    }
    assert len(await node.transfers(FIVE, [WALLET])) == 1
    server.answers["eth_getBlockReceipts"] = [{"logs": [log_of(WALLET, 1)]}]
    assert len(await node.transfers(FIVE, [WALLET])) == 1


@pytest.mark.parametrize("logs", [[{}], [{"topics": []}]])
async def test_receipts_of_another_shape_are_refused(server: Server, node: EvmNode, logs: Any) -> None:
    """As every other answer."""
    server.answers |= {
        "eth_getBlockByHash": header(log_of(WALLET, 1)),
        "eth_getLogs": [],
        "eth_getBlockReceipts": [{"logs": logs}],
    }
    with pytest.raises(ChainAnswerRefusedError):
        await node.transfers(FIVE, [WALLET])
    server.answers["eth_getBlockByNumber"] = header(logsBloom="x")
    with pytest.raises(ChainAnswerRefusedError):
        await node.block_at(5)


def test_a_bloom_is_that_of_other_clients() -> None:
    """A hundred texts; the hash of their bloom is what Go Ethereum's own tests have for the same texts."""
    bloom = 0
    for number in range(100):
        bloom |= bits_of("0x" + f"xxxxxxxxxx data {number} yyyyyyyyyyyyyy".encode().hex())
    digest = keccak(bloom.to_bytes(256, "big")).hex()
    assert digest == "c8d3ca65cdb4874300a9e39475508f23ed6da09fdbc487f89a2dcf50b09eb263"


def test_loading_web3_leaves_the_recursion_limit_alone() -> None:
    """The library lifts it to 100,000, where nested brackets from outside overflow the stack."""
    script = (
        "import sys; before = sys.getrecursionlimit();"
        "import mrmarket.partners.chains.node, mrmarket.partners.chains.signer;"
        "assert 'web3' in sys.modules; print(before == sys.getrecursionlimit())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
