"""Reports: what a backtest found, for people."""
