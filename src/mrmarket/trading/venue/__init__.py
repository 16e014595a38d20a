"""Exchanges: the port, the ccxt adapter, trackers, rate budget, and a simulated exchange."""
