"""The only way this project imports gptcache: without its import-time dangers.

gptcache 0.1.44 does three things that a library must not do. Each is disarmed in the one module
that does it, as soon as that module has run and before any other can use it:

1. `gptcache.core` builds a default MapDataManager, which unpickles `data_map.txt` from the working
   directory (that runs whatever code the file holds) and pickles it again when the program ends.
   Here a MapDataManager reads nothing and writes nothing.
2. A missing package is installed through the shell with whichever `pip` comes first. Here that is
   a ConfigError that names the package.
3. `gptcache.utils.log` gives the root logger a handler. Here the root logger stays as it was.

`pickle`, `subprocess` and `logging` themselves are left alone.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.metadata
import logging
import re
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from semcache.errors import ConfigError

_LOG = logging.getLogger(__name__)
_LOCK = threading.Lock()
_UNSAFE = {
    "ruamel-yaml": "GPTCache's YAML loader runs code from the file: give the file to semcache",
}


def load_gptcache() -> ModuleType:
    """Import the third-party gptcache disarmed, and return it.

    Safe to call again and from several threads. Where the program imported gptcache first, what is
    loaded is disarmed; what that import did cannot be undone. Raises ConfigError where gptcache is
    missing or is not the version that is known here.
    """
    with _LOCK:
        guard = _Guard()
        sys.meta_path.insert(0, guard)
        try:
            for name in ("gptcache", *_DISARM):
                importlib.import_module(name)
            for name, disarm in _DISARM.items():
                disarm(sys.modules[name])
        except (ImportError, AttributeError) as error:
            message = f"gptcache cannot be used ({error}); install gptcache==0.1.44."
            raise ConfigError(message) from error
        finally:
            sys.meta_path.remove(guard)
        return sys.modules["gptcache"]


class _Guard(importlib.abc.MetaPathFinder):
    """Finds the dangerous modules where Python would, and disarms each once it has run."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        wrap = _LOADERS.get(fullname)
        if wrap is None:
            return None
        for finder in sys.meta_path:
            if isinstance(finder, _Guard):
                continue
            spec = finder.find_spec(fullname, path, target)
            if spec is not None and spec.loader is not None:
                spec.loader = wrap(spec.loader)
                return spec
        return None


class _Disarming(importlib.abc.Loader):
    """Runs a module as its own loader does, then disarms it."""

    def __init__(self, inner: importlib.abc.Loader) -> None:
        self._inner = inner

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._inner.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._inner.exec_module(module)
        _DISARM[module.__name__](module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class _QuietLogging(_Disarming):
    """Runs `gptcache.utils.log`, and takes back the handler that it gave to the root logger."""

    def exec_module(self, module: ModuleType) -> None:
        root = logging.getLogger()
        before = list(root.handlers)
        self._inner.exec_module(module)
        for handler in [h for h in root.handlers if h not in before]:
            if getattr(handler.formatter, "_fmt", None) == module.FORMAT:
                root.removeHandler(handler)


# -------------------------------------------------------------------------------- map of pickles


def _disarm_map_manager(module: ModuleType) -> None:
    module.MapDataManager.init = _start_empty
    module.MapDataManager.flush = _keep_in_memory


def _start_empty(manager: Any) -> None:
    """In place of `MapDataManager.init`: no file is read."""
    if Path(manager.data_path).exists():
        _LOG.warning("a gptcache map file was found and not read: reading it would run its code")


def _keep_in_memory(manager: Any) -> None:
    """In place of `MapDataManager.flush`: no file is written."""
    if manager.data:
        _LOG.warning("a gptcache map is kept in memory only; use StoreDataManager to keep it")


# -------------------------------------------------------------------------------- pip by the shell


def _disarm_installer(module: ModuleType) -> None:
    module.prompt_install = refuse_install  # type: ignore[attr-defined]
    for name, other in list(sys.modules.items()):
        if name.startswith("gptcache.") and "prompt_install" in vars(other):
            other.prompt_install = refuse_install  # type: ignore[attr-defined]


def refuse_install(package: str, warn: bool = False) -> None:
    """In place of `prompt_install`: nothing is installed. Raises ConfigError.

    gptcache looks some packages up by their distribution's name instead of their module's and never
    finds them; those that are installed pass.
    """
    requirement = package.strip("'\"")
    name = re.split(r"[\[=<>!~ ]", requirement, maxsplit=1)[0]
    if name in _UNSAFE:
        raise ConfigError(f"{_UNSAFE[name]}.")
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        message = f"gptcache needs a package that is missing: run pip install '{requirement}'."
        raise ConfigError(message) from None


_DISARM: Mapping[str, Callable[[ModuleType], None]] = {
    "gptcache.manager.data_manager": _disarm_map_manager,
    "gptcache.utils.dependency_control": _disarm_installer,
}
_LOADERS: Mapping[str, Callable[[Any], importlib.abc.Loader]] = {
    **dict.fromkeys(_DISARM, _Disarming),
    "gptcache.utils.log": _QuietLogging,
}
