"""Which queue model agrees best with what happened to one's own orders."""
