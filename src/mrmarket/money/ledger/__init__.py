"""Double entry: append-only, idempotent, chained, and verified from the log alone."""
