"""HuFi's two APIs with the same contract, in one process: for tests, the demo, and nothing else."""
