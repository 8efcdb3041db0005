"""The model's thread, and the turns that all running requests take on it together."""
