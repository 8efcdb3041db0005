"""What a process holds: memory, file handles, threads; and, as it says itself, its tasks."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass, field
from typing import Any

import httpx2
import numpy as np
import psutil
from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True, slots=True)
class Sample:
    """At one moment, `at_s` after the start. `rss_mb`: resident memory in millions of bytes."""

    at_s: float
    rss_mb: float
    handles: int
    threads: int
    tasks: int
    in_flight: int
    entries: int


@dataclass(slots=True)
class Census:
    """Samples of one server process."""

    pid: int
    http: httpx2.AsyncClient
    key: str
    samples: list[Sample] = field(default_factory=list)

    async def take(self, at_s: float) -> Sample:
        """One more."""
        headers = {"authorization": f"Bearer {self.key}", "connection": "close"}
        told = await self.http.get("/metrics", headers=headers)
        named = {
            sample.name: sample.value
            for family in text_string_to_metric_families(told.text)
            for sample in family.samples
            if not sample.labels
        }
        process = psutil.Process(self.pid)
        sample = Sample(
            at_s=round(at_s, 1),
            rss_mb=round(process.memory_info().rss / 1e6, 1),
            handles=process.num_fds(),
            threads=process.num_threads(),
            tasks=int(named["semcache_tasks"]),
            in_flight=int(named["semcache_in_flight"]),
            entries=int(named["semcache_entries"]),
        )
        self.samples.append(sample)
        return sample

    async def watch(self, every_s: float, until: float) -> None:
        """Take samples until then, in the event loop's time."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while loop.time() < until:
            await self.take(loop.time() - began)
            await asyncio.sleep(every_s)

    def growth_mb_per_minute(self) -> float:
        """Of memory, in the second half: the slope of a line through it."""
        half = self.samples[len(self.samples) // 2 :]
        if len(half) < 3:
            return 0.0
        at = np.array([sample.at_s for sample in half]) / 60
        return round(float(np.polyfit(at, [sample.rss_mb for sample in half], 1)[0]), 2)

    def to_wire(self) -> list[dict[str, Any]]:
        """For JSON."""
        return [asdict(sample) for sample in self.samples]
