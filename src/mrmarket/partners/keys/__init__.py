"""Keys and addresses of many chains, derived from one seed."""
