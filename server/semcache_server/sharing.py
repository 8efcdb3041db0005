"""What several workers have counted, as one: each writes its counts to a small file now and then.

Files of workers that are gone stay until the next start, so that counters never fall. Nothing that
was asked is in them.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from semcache.observed import Observed
from semcache.recording import Recording

log = logging.getLogger("semcache.server")

EVERY_S = 1.0
_LIVING_S = 15.0  # a worker that has not written for so long has nothing in flight


def folder_of(data_dir: Path) -> Path:
    """Where the files are, made if need be."""
    folder = data_dir / "workers"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def forget(data_dir: Path) -> None:
    """Begin anew: what earlier runs counted is over."""
    for path in folder_of(data_dir).iterdir():
        path.unlink(missing_ok=True)


class SharedCounts:
    """One worker's part: writes its own counts, and reads the others'."""

    def __init__(self, data_dir: Path, name: str, recording: Recording) -> None:
        self._folder = folder_of(data_dir)
        self._path = self._folder / f"{name}.json"
        self._recording = recording
        self._closed = threading.Event()
        self._turn = threading.Lock()
        self._written = b""
        self._thread = threading.Thread(target=self._run, name="semcache-counts", daemon=True)
        recording.others = self.others
        self._thread.start()

    def others(self) -> list[Observed]:
        """What the other workers, living or gone, have written.

        Our own is written first: who is asked next knows as much, so that no counter ever falls.
        """
        self._write()
        return list(self._read())

    def close(self) -> None:
        """Write a last time."""
        self._closed.set()
        self._thread.join()
        self._write()

    def _run(self) -> None:
        while not self._closed.wait(EVERY_S):
            self._write()

    def _write(self) -> None:
        with self._turn:
            self._replace()

    def _replace(self) -> None:
        fresh = self._path.with_suffix(".new")
        try:
            body = json.dumps(self._recording.own().to_wire()).encode()
            if body == self._written and self._path.exists():
                os.utime(self._path)  # we are there, and nothing has happened
                return
            with os.fdopen(os.open(fresh, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as f:
                f.write(body)
            fresh.replace(self._path)
            self._written = body
        except OSError as error:
            log.warning("the counts of this worker cannot be written: %s", error.strerror)

    def _read(self) -> Iterator[Observed]:
        for path in sorted(self._folder.glob("*.json")):
            if path == self._path:
                continue
            try:
                written_at = path.stat().st_mtime
                wire: Mapping[str, Any] = json.loads(path.read_bytes())
                seen = Observed.from_wire(wire)
            except (OSError, ValueError, KeyError, TypeError):
                continue  # of another version, or gone meanwhile
            yield seen if time.time() - written_at < _LIVING_S else replace(seen, gauges={})
