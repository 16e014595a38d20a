"""Quoting models. A strategy returns the quotes it wants; it never sends an order."""
