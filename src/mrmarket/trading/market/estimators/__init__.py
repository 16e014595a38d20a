"""What can be read off a market: fair value, order flow, volatility, arrivals of trades, own markouts."""
