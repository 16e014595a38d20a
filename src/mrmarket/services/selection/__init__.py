"""The engine that chooses between strategies, joined to runs, shadows, the database and the API."""
