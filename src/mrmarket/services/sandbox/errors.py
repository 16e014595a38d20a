"""What can go wrong with a sandbox world."""

from __future__ import annotations

from pathlib import Path

from mrmarket.core.errors import MrMarketError


class SandboxStateError(MrMarketError):
    """A world's folder cannot be used."""

    code = "sandbox_state"

    def __init__(self, folder: Path, problem: str, advice: str) -> None:
        self.folder = folder
        self.problem = problem
        super().__init__(f"{folder}: {problem}; {advice}")


class ChainEndedError(MrMarketError):
    """The chain's node ended by itself."""

    code = "sandbox_chain_ended"
    retryable = True

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(f"the chain's node ended with {status}; start the world again, its blocks are kept")


class SandboxExchangeError(MrMarketError):
    """The simulated exchange did not answer an oracle's question."""

    code = "sandbox_exchange"
    retryable = True

    def __init__(self, question: str, problem: str) -> None:
        self.question = question
        self.problem = problem
        super().__init__(f"the simulated exchange did not answer {question} ({problem}); it is asked again")
