"""Models whose weights were once quantized, by GGUF's own arithmetic, as a GGUF's are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import torch
from gguf.quants import dequantize, quantize
from numpy.typing import NDArray
from transformers import AutoModelForCausalLM

from semcache.cag.network.model import LanguageModel, load_model
from semcache.cag.settings import CagSettings
from tests.cag.tiny_models import llama_config, write_model

WIDE: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.3,
}


def on_a_grid(weights: NDArray[Any], eight: bool = False) -> NDArray[Any]:
    """The nearest weights that Q4_1 can hold, or Q8_0."""
    kind = gguf.GGMLQuantizationType.Q8_0 if eight else gguf.GGMLQuantizationType.Q4_1
    found: NDArray[Any] = dequantize(quantize(weights, kind), kind)
    return found


def write_grid_model(folder: Path, config: Any | None = None, seed: int = 0) -> Path:
    """A tiny model, its matrices in Q4_1 and its embedding, which is its head too, in Q8_0."""
    write_model(folder, config or llama_config(**WIDE, tie_word_embeddings=True), seed=seed)
    network = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    for name, parameter in network.named_parameters():
        if parameter.dim() == 2:
            nearest = on_a_grid(parameter.detach().numpy(), eight="embed" in name)
            parameter.data.copy_(torch.from_numpy(nearest))
        elif "bias" in name:
            parameter.data.normal_()
    network.save_pretrained(folder)
    return folder


def loaded(folder: Path) -> LanguageModel:
    """The model with transformers' own network."""
    return load_model(folder, CagSettings(model=str(folder), device="cpu"))
