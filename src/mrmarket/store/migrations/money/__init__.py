"""Steps of the money database."""
