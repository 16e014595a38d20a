"""Strategies beside pure market making: quoting models, a grid, and executors of a single order."""
