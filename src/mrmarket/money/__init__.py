"""The business core. The single writer of money; it never sees an order book."""
