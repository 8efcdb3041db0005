"""Who may import whom, as the code has it: read from the syntax trees, nothing is run.

    errors, merging ← chat, completion, directives, sections, tally ← sse ← keys
           ← interfaces, render ← guards, policy, memory ← reply ← layers, explain ← cache

Adapters stand beside: they import from that row up to `interfaces`, never each other, policy or
cache. `config`, `assembly`, `client` and `cli` put everything together. A runtime is what adapters
share to run a network: it knows nothing of semcache.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"errors", "field_rules", "grounds", "merging", "responses", "trace"}),
    frozenset(
        {
            "chat",
            "completion",
            "directives",
            "sections",
            "prices",
            "usage",
            "embedding_items",
            "tally",
            "timeline",
            "recent",
            "workers",
            "batches",
            "per_loop",
            "sqlite_file",
            "caller",
            "secret_file",
            "loop_thread",
            "circuit",
            "patience",
        }
    ),
    frozenset({"pacing", "sse", "answer_form", "server_keys", "wishes", "admin_key", "observed"})
    | frozenset({"keyring", "quotas", "pass_through", "compat_headers"}),
    frozenset({"keys", "flight"}),
    frozenset(
        {
            "citations",
            "entry",
            "interfaces",
            "judging",
            "lexical",
            "question_vector",
            "render",
            "render_response",
            "retrieval",
            "selection",
            "sketch",
            "store_report",
            "whole",
        }
    ),
    frozenset(
        {
            "guards",
            "policy",
            "policy_settings",
            "keeping",
            "memory",
            "volatile",
            "decisions",
            "journal",
            "retries",
            "succession",
        }
    ),
    frozenset({"reply", "freshness"}),
    frozenset({"confirming", "new_entry", "variants", "promotion"}),
    frozenset({"nearest"}),
    frozenset(
        {"replaying", "explain", "layers", "feedback", "explanation", "planning", "recording"}
    ),
    frozenset({"answer_learning", "checking", "administering", "storing", "refreshing"})
    | frozenset({"sharing"}),
    frozenset({"joining"}),
    frozenset({"leading"}),
    frozenset({"cache"}),
    frozenset({"embedding_answers"}),
)
ADAPTERS = frozenset(
    {
        "store",
        "embedding",
        "cag",
        "gptcache",
        "upstream",
        "endpoint",
        "verify",
        "knowledge",
        "failover",
        "grounding",
        "llm_judge",
        "responding",
    }
)
RUNTIMES = frozenset({"onnx_graph"})  # what several adapters run their networks with
SPOKEN_TO = {"endpoint": {"upstream", "llm_judge"}}  # who may ask a server with it
ABOVE = frozenset(
    {
        "config",
        "config_sections",
        "assembly",
        "reloading",
        "client",
        "cli",
        "commands",
        "calibrate",
        "documents",
        "doors",
        "engines",
        "installation",
        "transfer",
        "__init__",
        "__main__",
    }
)

HOMES = {
    "gptcache": {"gptcache"},
    "torch": {"cag"},
    "transformers": {"cag"},
    "faiss": {"store"},
    "sqlalchemy": {"store"},
    "onnxruntime": {"onnx_graph"},
    "onnx": {"onnx_graph"},
    "openai": {"client"},
    "tantivy": {"knowledge"},
    "cryptography": {"store"},
    "semantic_text_splitter": {"knowledge"},
    "mammoth": {"knowledge"},
    "pypdf": {"knowledge"},
    "bs4": {"knowledge"},
}


def modules(package: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(package.rglob("*.py")):
        dotted = path.relative_to(package.parent).with_suffix("").as_posix().replace("/", ".")
        yield dotted.removesuffix(".__init__"), path


def imported(path: Path, only_at_import: bool = False) -> set[str]:
    """Absolute module names that a file imports: all of them, or those that importing it runs."""
    names: set[str] = set()
    todo: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while todo:
        node = todo.pop()
        if only_at_import and runs_later(node):
            continue
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} imports relatively: say the whole name"
            names.add(str(node.module))
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call):
            names.update(imported_by_name(node))
        todo.extend(ast.iter_child_nodes(node))
    return names


def runs_later(node: ast.AST) -> bool:
    """Functions run when they are called, and blocks for type checkers never."""
    if isinstance(node, ast.If):
        return "TYPE_CHECKING" in ast.unparse(node.test)
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def imported_by_name(call: ast.Call) -> set[str]:
    """What `import_module("…")` and `__import__("…")` import, where the name is in the code."""
    if ast.unparse(call.func).split(".")[-1] not in {"import_module", "__import__"}:
        return set()
    names = (arg.value for arg in call.args[:1] if isinstance(arg, ast.Constant))
    return {name for name in names if isinstance(name, str)}


def part_of(module: str) -> str:
    """The first name below `semcache`."""
    pieces = module.split(".")
    return pieces[1] if len(pieces) > 1 else "__init__"


SEMCACHE = dict(modules(ROOT / "semcache"))
SERVER = dict(modules(ROOT / "server" / "semcache_server"))


def used_parts(path: Path) -> set[str]:
    known = {part_of(module) for module in SEMCACHE}
    found = {name for name in imported(path) if name.split(".")[0] == "semcache"}
    parts = {part_of(name) for name in found if name != "semcache"}
    return parts & known


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import semcache.policy", "semcache.policy"),
        ("import os, semcache.policy as p", "semcache.policy"),
        ("from semcache import policy", "semcache.policy"),
        ("from semcache.policy import admit", "semcache.policy"),
        ("def f():\n    import torch.nn", "torch.nn"),
        ("if TYPE_CHECKING:\n    from semcache import cache", "semcache.cache"),
        ("try:\n    import faiss\nexcept ImportError:\n    pass", "faiss"),
        ("importlib.import_module('torch')", "torch"),
        ("x = __import__('torch')", "torch"),
    ],
)
def test_every_form_of_import_is_seen(code: str, found: str, tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(code, encoding="utf-8")
    assert found in imported(path)
    late = code.startswith(("def", "if TYPE_CHECKING"))
    assert (found in imported(path, only_at_import=True)) is not late


def test_a_relative_import_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text("from .policy import admit", encoding="utf-8")
    with pytest.raises(AssertionError, match="relatively"):
        imported(path)


def test_every_module_has_its_place() -> None:
    placed = frozenset().union(*LAYERS) | ADAPTERS | RUNTIMES | ABOVE
    assert {part_of(module) for module in SEMCACHE} <= placed


@pytest.mark.parametrize("module", sorted(SEMCACHE))
def test_imports_point_downwards(module: str) -> None:
    part = part_of(module)
    used = used_parts(SEMCACHE[module]) - {part}
    if part in ABOVE:
        return
    if part in RUNTIMES:
        assert not used, f"{module} may not import {sorted(used)}"
        return
    if part in ADAPTERS:
        allowed = frozenset().union(RUNTIMES, *LAYERS[:5])
        allowed |= {a for a, users in SPOKEN_TO.items() if part in users}
        assert used <= allowed, f"{module} may not import {sorted(used - allowed)}"
        return
    height = next(at for at, layer in enumerate(LAYERS) if part in layer)
    allowed = frozenset().union(*LAYERS[: height + 1])
    assert used <= allowed, f"{module} may not import {sorted(used - allowed)}"


@pytest.mark.parametrize("package", sorted(HOMES))
def test_heavy_packages_have_one_home(package: str) -> None:
    for module, path in {**SEMCACHE, **SERVER}.items():
        used = any(name.split(".")[0] == package for name in imported(path))
        if used:
            assert module.startswith("semcache.")
            assert part_of(module) in HOMES[package], f"{module} imports {package}"


def test_no_import_cycles() -> None:
    graph = {
        module: {
            name
            for name in imported(path, only_at_import=True)
            if name in SEMCACHE and name != module
        }
        for module, path in SEMCACHE.items()
    }
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " → ".join([*trail, module])
        if module in done:
            return
        for used in sorted(graph[module]):
            visit(used, (*trail, module))
        done.add(module)

    for module in sorted(graph):
        if module != "semcache":
            visit(module, ())


def test_the_server_imports_no_adapter_but_the_wire_shapes_of_gptcache_server() -> None:
    for module, path in SERVER.items():
        used = {name for name in imported(path) if name.startswith("semcache.")}
        adapters = {name for name in used if part_of(name) in ADAPTERS}
        assert all(name.startswith("semcache.gptcache.legacy") for name in adapters), module


@pytest.mark.parametrize(
    "name",
    [
        "semcache",
        *(f"semcache.{part}" for layer in LAYERS for part in sorted(layer)),
        "semcache.config",
        "semcache.assembly",
        "semcache_server.app",
    ],
)
def test_importing_loads_nothing_heavy(name: str) -> None:
    code = (
        f"import sys, {name}\n"
        f"heavy = {sorted(HOMES)!r}\n"
        "print([package for package in heavy if package in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'server'}", "PATH": ""},
    )
    assert run.stdout.strip() == "[]"
