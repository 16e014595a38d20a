"""The simulated exchange's front: Binance's spot REST and WebSocket dialect."""
