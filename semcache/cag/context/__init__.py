"""What a request attends to: stored keys and values, shared, moved, joined to its own."""
