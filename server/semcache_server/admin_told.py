"""What an admin is told: JSON that nobody on the way may keep."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse


class Told(JSONResponse):
    """A JSON response with `Cache-Control: no-store`."""

    def __init__(self, content: Any) -> None:
        super().__init__(content, headers={"cache-control": "private, no-store"})
