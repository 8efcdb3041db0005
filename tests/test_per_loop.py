"""One HTTP client for each event loop, closed with it."""

from __future__ import annotations

import asyncio
import gc
import threading

import httpx2

from semcache.per_loop import Given, PerLoop
from tests.loopback import Json, Loopback

made: list[httpx2.AsyncClient] = []


def fresh() -> httpx2.AsyncClient:
    made.append(httpx2.AsyncClient())
    return made[-1]


def test_one_client_for_each_loop() -> None:
    clients = PerLoop(fresh)

    async def here() -> tuple[httpx2.AsyncClient, httpx2.AsyncClient]:
        first = clients.here()
        await asyncio.sleep(0)
        return first, clients.here()

    one, two = asyncio.run(here()), asyncio.run(here())
    assert one[0] is one[1]
    assert two[0] is two[1]
    assert one[0] is not two[0]


def test_a_loops_end_closes_its_connections() -> None:
    clients = PerLoop(fresh)

    async def ask(url: str) -> httpx2.AsyncClient:
        client = clients.here()
        assert (await client.get(url)).status_code == 200
        return client

    with Loopback([Json({})]) as server:
        used = [asyncio.run(ask(server.base_url)) for _ in range(3)]
        assert server.connections == 3
    assert all(client.is_closed for client in used)
    assert not clients.is_closed


def test_clients_that_nobody_holds_are_closed() -> None:
    async def ask(url: str) -> None:
        clients = PerLoop(fresh)
        client = clients.here()
        await client.get(url)
        del clients
        made.clear()
        gc.collect()
        while not client.is_closed:
            await asyncio.sleep(0)

    with Loopback([Json({})]) as server:
        asyncio.run(ask(server.base_url))


def test_closing_reaches_every_running_loop() -> None:
    clients = PerLoop(fresh)
    ready, done = threading.Event(), threading.Event()
    theirs: list[httpx2.AsyncClient] = []

    async def elsewhere() -> None:
        theirs.append(clients.here())
        ready.set()
        while not theirs[0].is_closed:
            await asyncio.sleep(0.001)
        done.set()

    async def here() -> bool:
        mine = clients.here()
        await clients.aclose()
        return mine.is_closed and clients.is_closed

    thread = threading.Thread(target=asyncio.run, args=(elsewhere(),))
    thread.start()
    assert ready.wait(20)
    assert asyncio.run(here())
    thread.join(20)
    assert done.is_set()


def test_somebody_elses_client() -> None:
    client = httpx2.AsyncClient(auth=("a", "b"), timeout=3)
    given = Given(client)
    assert given.here() is client
    assert given.authenticates
    assert given.timeout == httpx2.Timeout(3)
    asyncio.run(given.aclose())
    assert given.is_closed
    assert client.is_closed
