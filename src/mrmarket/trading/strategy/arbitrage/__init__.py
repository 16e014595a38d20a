"""Arbitrage: across exchanges, around a triangle, between spot and perpetual; pure cores and a live run."""
