"""Partners as an instance lives with them: opened from the configuration, kept going, shown."""
