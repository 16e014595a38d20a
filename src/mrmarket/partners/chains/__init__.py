"""EVM chains: a watcher that misses nothing, a vault that pays once, the contracts of HUMAN Protocol."""
