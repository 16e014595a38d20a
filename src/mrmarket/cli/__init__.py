"""The `mrmarket` command, thin over services."""
