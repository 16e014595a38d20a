"""One file per step of the trading database, named by its number."""
