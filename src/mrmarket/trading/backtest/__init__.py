"""The laboratory: recorded markets against the strategies that trade live."""
