"""How often the cache is right, how often it is wrong, and what that takes."""
