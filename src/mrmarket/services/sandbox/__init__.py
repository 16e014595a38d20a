"""The sandbox world: a chain, HuFi, Mixin and an exchange of one's own, with time that runs faster."""
