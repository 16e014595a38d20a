"""What differs from exchange to exchange beneath ccxt's unified methods."""
