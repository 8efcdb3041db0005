"""The documents as a question meets them: all of them, or the passages that are found."""
