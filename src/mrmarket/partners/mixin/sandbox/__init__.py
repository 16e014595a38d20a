"""A Mixin of our own: the Safe API over real outputs and signatures, for tests and the demo."""
