"""One file per step of the money database, named by its number."""
