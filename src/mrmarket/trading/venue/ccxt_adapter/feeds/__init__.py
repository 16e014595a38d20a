"""The exchanges' own market data frames, read before ccxt turns them into floats."""
