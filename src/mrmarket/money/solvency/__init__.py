"""Whether the assets are there: what is owed against what was seen, and what happens if they differ."""
