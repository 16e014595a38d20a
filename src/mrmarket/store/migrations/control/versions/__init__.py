"""One file per step of the control database, named by its number."""
