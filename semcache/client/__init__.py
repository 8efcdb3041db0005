"""The drop-in clients: the official `openai` clients with a cache in this process under them.

    from semcache import OpenAI, AsyncOpenAI, wrap
    client = OpenAI()            # as openai.OpenAI, and answers come from the cache where they can
    client = wrap(my_client)     # the same for a client that exists already

The cache sits between the official client and its HTTP client, so types, streams, retries and
errors stay the official ones. No server is involved.
"""

from __future__ import annotations

from semcache.client.official import AsyncOpenAI, OpenAI, wrap
from semcache.client.trust import cache_of

__all__ = ["AsyncOpenAI", "OpenAI", "cache_of", "wrap"]
