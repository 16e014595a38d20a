"""The lean loop: a strategy of a few lines against the kernel, at the speed of the kernel."""
