"""What an instance tells of itself: figures for Prometheus, and whether it is well."""
