"""What a run may do: states, breakers, checks before each order, and a switch that needs no database."""
