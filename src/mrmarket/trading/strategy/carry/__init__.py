"""Spot against perpetual: when collecting funding pays, and a strategy that does it in the laboratory."""
