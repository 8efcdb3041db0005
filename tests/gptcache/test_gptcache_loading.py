"""Importing gptcache in a hostile place: a pickle that runs code, and a `pip` first on the PATH.

Each test runs a program of its own, since an import happens once. That the traps work at all is
shown on gptcache alone, without us.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from semcache.errors import ConfigError
from semcache.gptcache.loading import refuse_install

ROOT = Path(__file__).parents[2]

USE = """
import numpy as np
from semcache.gptcache import StoreDataManager, load_gptcache
from tests.gptcache.memory_store import MemoryStore
load_gptcache()
from gptcache import Cache
from gptcache.adapter.api import get, put
from gptcache.processor.pre import get_prompt
from gptcache.similarity_evaluation import SearchDistanceEvaluation

vectors = {"a": [1.0, 0.0], "b": [0.9, 0.1], "c": [0.0, 1.0]}
cache = Cache()
cache.init(
    pre_embedding_func=get_prompt,
    embedding_func=lambda text, **_: np.array(vectors[text]),
    data_manager=StoreDataManager(MemoryStore(), embedder="test"),
    similarity_evaluation=SearchDistanceEvaluation(),
)
put("a", "said", cache_obj=cache)
assert get("b", cache_obj=cache) == "said"
assert get("c", cache_obj=cache) is None
"""


class _Bomb:
    """Unpickling it makes the file `exploded`."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch exploded",)


@dataclass(frozen=True)
class _Trap:
    folder: Path
    pip_log: Path
    path: str

    def run(self, program: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "PATH": self.path, "PYTHONPATH": str(ROOT)}
        return subprocess.run(
            [sys.executable, "-c", program],
            cwd=self.folder,
            env=env,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def files(self) -> dict[str, bytes]:
        return {p.name: p.read_bytes() for p in self.folder.iterdir() if p.is_file()}


@pytest.fixture
def trap(tmp_path: Path) -> _Trap:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "data_map.txt").write_bytes(pickle.dumps(_Bomb()))
    programs = tmp_path / "bin"
    programs.mkdir()
    log = tmp_path / "pip.log"
    stub = programs / "pip"
    stub.write_text(f'#!/bin/sh\necho "$@" >> "{log}"\n')
    stub.chmod(0o755)
    return _Trap(folder, log, f"{programs}{os.pathsep}{os.environ['PATH']}")


def test_the_trap_springs_on_gptcache_alone(trap: _Trap) -> None:
    trap.run("import gptcache")
    assert "exploded" in trap.files()
    trap.run("from gptcache.utils import _check_library; _check_library('no_such_module_here')")
    assert trap.pip_log.read_text() == "install -q no_such_module_here\n"


def test_a_cache_on_our_manager_leaves_no_trace(trap: _Trap) -> None:
    before = trap.files()
    done = trap.run(USE)
    assert done.returncode == 0, done.stderr
    assert trap.files() == before
    assert not trap.pip_log.exists()


def test_the_default_manager_reads_and_writes_no_file(trap: _Trap) -> None:
    before = trap.files()
    done = trap.run(
        "from semcache.gptcache import load_gptcache\n"
        "cache = load_gptcache().Cache()\n"
        "cache.init()\n"
        "cache.data_manager.save('q', 'a', 'q')\n"
        "assert cache.data_manager.search('q')[0][1] == 'a'\n"
        "cache.flush()\n"
    )
    assert done.returncode == 0, done.stderr
    assert trap.files() == before
    assert "not read" in done.stderr
    assert "kept in memory only" in done.stderr


def test_a_gptcache_imported_before_us_is_disarmed(trap: _Trap) -> None:
    (trap.folder / "data_map.txt").unlink()
    done = trap.run(
        "import gptcache\n"
        "from gptcache.manager import get_data_manager\n"
        "from gptcache.utils import import_milvus_lite\n"
        "from semcache.gptcache import load_gptcache\n"
        "from semcache.errors import ConfigError\n"
        "assert load_gptcache() is gptcache\n"
        "assert load_gptcache() is gptcache\n"
        "manager = get_data_manager(data_path='map.txt')\n"
        "manager.save('q', 'a', 'q')\n"
        "manager.flush()\n"
        "gptcache.cache.init()\n"
        "try:\n"
        "    import_milvus_lite()\n"
        "except ConfigError as error:\n"
        "    assert 'pip install' in str(error), error\n"
        "else:\n"
        "    raise SystemExit('nothing was refused')\n"
    )
    assert done.returncode == 0, done.stderr
    assert trap.files() == {}
    assert not trap.pip_log.exists()


def test_a_missing_package_is_named(trap: _Trap) -> None:
    done = trap.run(
        "from semcache.gptcache import load_gptcache\n"
        "load_gptcache()\n"
        "from gptcache.utils import import_milvus_lite\n"
        "import_milvus_lite()\n"
    )
    assert done.returncode != 0
    assert "ConfigError: gptcache needs a package that is missing" in done.stderr
    assert "pip install 'milvus'" in done.stderr
    assert not trap.pip_log.exists()


def test_gptcaches_yaml_loader_cannot_be_reached(trap: _Trap) -> None:
    (trap.folder / "cache.yml").write_text("!!python/object/apply:os.system ['touch exploded']\n")
    done = trap.run(
        "from semcache.gptcache import load_gptcache\n"
        "load_gptcache()\n"
        "from gptcache.adapter.api import init_similar_cache_from_config\n"
        "init_similar_cache_from_config('cache.yml')\n"
    )
    assert "ConfigError: GPTCache's YAML loader runs code" in done.stderr
    assert "exploded" not in trap.files()


def test_logging_pickle_and_subprocess_stay_as_they_were(trap: _Trap) -> None:
    done = trap.run(
        "import logging, pickle, subprocess, sys\n"
        "before = pickle.load, pickle.dump, subprocess.check_call, list(sys.meta_path)\n"
        "from semcache.gptcache import load_gptcache\n"
        "load_gptcache()\n"
        "assert logging.getLogger().handlers == []\n"
        "assert before == (pickle.load, pickle.dump, subprocess.check_call, list(sys.meta_path))\n"
        "assert 'openai' not in sys.modules\n"
    )
    assert done.returncode == 0, done.stderr


def test_many_threads_load_one_gptcache(trap: _Trap) -> None:
    before = trap.files()
    done = trap.run(
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from semcache.gptcache import load_gptcache\n"
        "with ThreadPoolExecutor(8) as pool:\n"
        "    loaded = list(pool.map(lambda _: load_gptcache(), range(32)))\n"
        "assert len(set(map(id, loaded))) == 1\n"
    )
    assert done.returncode == 0, done.stderr
    assert trap.files() == before


def test_importing_the_package_does_not_import_gptcache() -> None:
    program = (
        "import sys, semcache.gptcache\n"
        "heavy = {'gptcache', 'faiss', 'torch', 'sqlalchemy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=120)


@pytest.mark.parametrize("package", ["numpy", "numpy==0.0.1", "'numpy[extra]'", "NumPy"])
def test_an_installed_package_passes_whatever_gptcache_calls_it(package: str) -> None:
    refuse_install(package)


@pytest.mark.parametrize("package", ["no-such-package-here", "no-such-package-here==1.0"])
def test_a_package_that_is_not_installed_is_refused(package: str) -> None:
    with pytest.raises(ConfigError, match="no-such-package-here"):
        refuse_install(package)
