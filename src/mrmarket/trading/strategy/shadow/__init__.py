"""Strategies on live data without orders, beside the live ones: paper fills, readings, supervision."""
