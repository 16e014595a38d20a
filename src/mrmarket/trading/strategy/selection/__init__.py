"""Choosing between strategies by what they earn: scores, the switching machine, the capital allocator."""
