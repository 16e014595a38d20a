"""Engines: processes that hold strategy runs by leases, and move them among each other."""
