"""From the settings to a model that is proved, named, quick and ready."""
