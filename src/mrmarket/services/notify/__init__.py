"""Notices to people: what is let through, and the ways they take."""
