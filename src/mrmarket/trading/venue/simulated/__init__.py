"""A simulated exchange: a matching kernel in which our orders stand in a replayed or generated market."""
