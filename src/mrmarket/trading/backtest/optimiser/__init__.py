"""The optimiser: which parameters would have done best, and whether that means anything."""
