"""Who may do what: sessions, the owner's password, wallet sign-in, and how often anybody may ask."""
