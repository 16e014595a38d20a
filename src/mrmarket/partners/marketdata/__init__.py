"""Prices from providers and venues behind one port.

`price` holds the port; `coingecko` and `venue_mids` implement it; `consensus` makes one of several and
refuses what is stale or disputed; `board` keeps the last ones for those who cannot wait; `settings` puts it
all together.
"""
