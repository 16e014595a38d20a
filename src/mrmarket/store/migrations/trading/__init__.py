"""Steps of the trading database."""
