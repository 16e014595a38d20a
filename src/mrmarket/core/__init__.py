"""Primitives that every room shares: assets, instruments, ids, clocks, errors and facts. Pure."""
