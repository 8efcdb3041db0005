"""The command `semcache_server`: options on the command line over a configuration file."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from semcache.errors import SemcacheError
from semcache_server.options import configured, parser, require_keys
from semcache_server.starting import start

__all__ = ["configured", "main", "parser", "require_keys"]


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point."""
    try:
        status = start(sys.argv[1:] if argv is None else argv)
    except SemcacheError as error:
        sys.exit(f"semcache_server: {error}")
    if status:
        sys.exit(status)


if __name__ == "__main__":
    main()
