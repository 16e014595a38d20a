"""Composition roots: the one place where ports meet adapters."""
