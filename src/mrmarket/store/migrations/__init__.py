"""Numbered steps from an empty file to today's tables, one chain per database."""
