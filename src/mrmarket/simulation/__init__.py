"""The whole platform in one process on a virtual clock; what is outside of it is modelled, and fails."""
