"""Bringing balances back between venues and wallets: only where that is worth more than it costs."""
