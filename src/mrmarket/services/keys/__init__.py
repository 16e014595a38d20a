"""Exchange keys: encrypted at rest, checked for what they may do, shown to nobody."""
