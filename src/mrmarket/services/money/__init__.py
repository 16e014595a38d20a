"""The business core put together: rooms of money, the world they pay into, and what the API asks."""
