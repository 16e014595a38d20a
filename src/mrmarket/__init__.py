"""Mr. Market: open pooled market making with shares that can be proved."""

__version__ = "0.1.0"
