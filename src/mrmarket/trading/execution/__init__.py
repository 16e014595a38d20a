"""Target quotes become intents, intents become orders, and no order is ever lost."""
