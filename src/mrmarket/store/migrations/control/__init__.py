"""Steps of the control database."""
