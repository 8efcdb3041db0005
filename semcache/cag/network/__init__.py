"""The model itself: found, converted, loaded, named, and run a forward pass at a time."""
