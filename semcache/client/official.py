"""`OpenAI`, `AsyncOpenAI` and `wrap`: the official clients over a caching HTTP client."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import httpx2
import openai

from semcache.assembly import Assembled
from semcache.cache import SemCache
from semcache.client.async_client import CachingAsyncClient
from semcache.client.attached import Attached, GivenConfig, attach
from semcache.client.blocking_client import CachingClient
from semcache.client.trust import AsyncCache, Cache
from semcache.per_loop import AsyncClients, Given, PerLoop

GivenCache: TypeAlias = SemCache | Assembled | Attached | None
C = TypeVar("C", bound=openai.OpenAI | openai.AsyncOpenAI)
_OLDER = "semcache needs a client over httpx2: give http_client=httpx2.{}(...), not {}."


class OpenAI(openai.OpenAI):
    """`openai.OpenAI` with a cache in this process; every other argument is the official one's.

    `cache` is a cache to share, which stays its giver's to close. `cache_config` is a Config, or
    the path of a `cache_config.yaml`. With neither the documented defaults apply, without a local
    engine. Copies (`with_options`) keep the cache. Raises ConfigError where the configuration
    cannot be read.
    """

    def __init__(
        self,
        *,
        cache: SemCache | Assembled | None = None,
        cache_config: GivenConfig | None = None,
        http_client: httpx2.Client | None = None,
        **options: Any,
    ) -> None:
        client, is_new = _blocking(http_client, cache, cache_config)
        try:
            super().__init__(http_client=client, **options)
        except BaseException:
            if is_new:
                client.detach()
            raise
        self._semcache = client.attached

    @property
    def cache(self) -> Cache:
        """Feedback and explanations."""
        return Cache(self)

    if not TYPE_CHECKING:  # the signature stays the official one

        def copy(self, **options: Any) -> OpenAI:
            """As the official method; with the same cache, whatever HTTP client is given."""
            return super().copy(**_keeping(self._semcache, options))

        with_options = copy


class AsyncOpenAI(openai.AsyncOpenAI):
    """`openai.AsyncOpenAI` with a cache in this process. See `OpenAI`.

    The cache works in the event loop that awaits it; several loops, one after another, are fine.
    """

    def __init__(
        self,
        *,
        cache: SemCache | Assembled | None = None,
        cache_config: GivenConfig | None = None,
        http_client: httpx2.AsyncClient | None = None,
        **options: Any,
    ) -> None:
        client, is_new = _async(http_client, cache, cache_config)
        try:
            super().__init__(http_client=client, **options)
        except BaseException:
            if is_new:
                client.detach()
            raise
        self._semcache = client.attached

    @property
    def cache(self) -> AsyncCache:
        """Feedback and explanations."""
        return AsyncCache(self)

    if not TYPE_CHECKING:  # the signature stays the official one

        def copy(self, **options: Any) -> AsyncOpenAI:
            """As the official method; with the same cache, whatever HTTP client is given."""
            return super().copy(**_keeping(self._semcache, options))

        with_options = copy


def wrap(
    client: C,
    *,
    cache: SemCache | Assembled | None = None,
    cache_config: GivenConfig | None = None,
) -> C:
    """A copy of an official client (of a subclass, too) that asks a cache first.

    The client's own HTTP client stays underneath, as it is: transports, proxies, hooks. Closing
    the copy closes it, as with every copy of an official client. Who asks is read from the
    request's headers; a client whose HTTP client authenticates by itself shares with nobody.
    A client that has a cache already gets this one instead. `cache` and `cache_config` are as for
    `OpenAI`. Raises ConfigError; TypeError for a client over the older `httpx`.
    """
    http_client: Any = client._client
    copying: Any = client.with_options
    if isinstance(client, openai.OpenAI):
        caching: Any = CachingClient(_inner(http_client), attach(cache, cache_config))
    else:
        caching = CachingAsyncClient(_async_inner(http_client), attach(cache, cache_config))
    copied: C = copying(http_client=caching)
    return copied


def _blocking(
    http_client: httpx2.Client | None, cache: GivenCache, cache_config: GivenConfig | None
) -> tuple[CachingClient, bool]:
    """The HTTP client for these arguments, and whether it is new."""
    if isinstance(http_client, CachingClient) and _is_copy(cache, cache_config):
        return http_client, False
    inner = _OwnClient() if http_client is None else _inner(http_client)
    return CachingClient(inner, attach(cache, cache_config)), True


def _async(
    http_client: httpx2.AsyncClient | None, cache: GivenCache, cache_config: GivenConfig | None
) -> tuple[CachingAsyncClient, bool]:
    """The HTTP client for these arguments, and whether it is new."""
    if isinstance(http_client, CachingAsyncClient) and _is_copy(cache, cache_config):
        return http_client, False
    inner = (
        PerLoop(openai.DefaultAsyncHttpxClient)
        if http_client is None
        else _async_inner(http_client)
    )
    return CachingAsyncClient(inner, attach(cache, cache_config)), True


def _is_copy(cache: GivenCache, cache_config: GivenConfig | None) -> bool:
    """Whether nothing was said of a cache: these are the arguments of a copy."""
    return cache_config is None and (cache is None or isinstance(cache, Attached))


def _inner(http_client: httpx2.Client) -> httpx2.Client:
    if isinstance(http_client, CachingClient):
        return http_client.inner
    if not isinstance(http_client, httpx2.Client):
        raise TypeError(_OLDER.format("Client", type(http_client)))
    return http_client


def _async_inner(http_client: httpx2.AsyncClient) -> AsyncClients:
    if isinstance(http_client, CachingAsyncClient):
        return http_client.clients
    if not isinstance(http_client, httpx2.AsyncClient):
        raise TypeError(_OLDER.format("AsyncClient", type(http_client)))
    return Given(http_client)


def _keeping(attached: Attached, options: dict[str, Any]) -> dict[str, Any]:
    extra = {"cache": attached, **options.pop("_extra_kwargs", {})}
    return {**options, "_extra_kwargs": extra}


class _OwnClient(openai.DefaultHttpxClient):
    """As under an official client: connections that nobody closed are closed with it."""

    def __del__(self) -> None:
        with suppress(Exception):
            self.close()
