"""Market data: order book, trades, bars, recordings, and models of the market itself."""
