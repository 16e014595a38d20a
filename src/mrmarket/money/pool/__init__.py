"""Pools: shares at net asset value, deposits, and the settlement of fills."""
