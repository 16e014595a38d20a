"""HTTP and WebSocket interface of an instance."""
