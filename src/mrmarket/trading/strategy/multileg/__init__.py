"""What runs that trade on several markets at once have in common: their life, a market each, their orders."""
