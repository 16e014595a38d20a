"""The whole platform in one process on a virtual clock, with everything outside of it modelled and made to fail."""
