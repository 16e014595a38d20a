"""Prices from providers and venues behind one port."""
