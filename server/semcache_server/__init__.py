"""semcache_server: the cache as an OpenAI-compatible HTTP server."""
