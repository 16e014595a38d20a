"""Triangular arbitrage on one venue: its triangles, their exact size, and a run that carries rounds out."""
