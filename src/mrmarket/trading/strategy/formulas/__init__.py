"""Where quotes go and how large they are, as plain functions of floats.

Prices and distances are ticks, sizes are orders of the usual size, times seconds, volatility ticks per root
second. No function here looks at an object, keeps anything or draws lots, so each of them compiles as it is.
"""
