"""A network that takes the few rows of a decoding step through quick kernels.

Called as transformers' own, with the same cache and attention. Many rows, and whatever the quick
way does not know, go to the plain network: it reads prompts faster, and both agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from semcache.cag.context.attention import NAME, prefix_attention
from semcache.cag.lean.attention import LeanAttention
from semcache.cag.lean.shape import Shape
from semcache.cag.lean.steps import Ending, Steps

MOST_ROWS = 16
"""Beyond so many rows, float32 products in one go are quicker."""


class LeanNetwork:
    """Has whatever attribute the plain network has. Belongs to the model's thread."""

    most_rows = MOST_ROWS

    def __init__(self, plain: Any, shape: Shape, parts: Sequence[Any]) -> None:
        """`parts`: open sessions, in order."""
        self.plain = plain
        self._shape = shape
        self._parts = parts
        self._attentions = [layer.self_attn for layer in plain.model.layers]
        self._attention = LeanAttention(shape, self._attentions[0].scaling)
        self._steps: dict[int, Steps] = {}
        self._endings: dict[int, Ending] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.plain, name)

    def __call__(self, **arguments: Any) -> Any:
        """What the plain network returns; of the quick way, only `logits`."""
        if not self._is_few(**arguments):
            return self.plain(**arguments)
        with _one_thread():
            return SimpleNamespace(logits=self._few(**arguments))

    def _is_few(self, input_ids: Tensor, past_key_values: Any = None, **others: Any) -> bool:
        return (
            input_ids.shape[0] == 1
            and input_ids.shape[1] <= MOST_ROWS
            and past_key_values is not None
            and self.plain.config._attn_implementation == NAME
            and others.get("attention_mask") is None
        )

    def _few(
        self,
        input_ids: Tensor,
        past_key_values: Any,
        position_ids: Tensor | None = None,
        logits_to_keep: int | Tensor = 0,
        shared_prefix: Any = None,
        **others: Any,
    ) -> Tensor:
        rows = input_ids.shape[1]
        if position_ids is None:
            start = past_key_values.get_seq_length()
            position_ids = torch.arange(start, start + rows)[None]
        steps = self._begun(input_ids, position_ids)
        quick = self._attention.begun(steps, past_key_values, shared_prefix)
        for number, attention in enumerate(self._attentions):
            steps.run(number)
            key, value = past_key_values.update(steps.key, steps.value, number)
            if quick is not None:
                quick.mix(number)
                continue
            mixed, _ = prefix_attention(
                attention,
                steps.query,
                key,
                value,
                None,
                scaling=attention.scaling,
                shared_prefix=shared_prefix,
            )
            steps.mixed.copy_(mixed.view(1, rows, -1))
        return self._ended(steps, logits_to_keep)

    def _begun(self, input_ids: Tensor, position_ids: Tensor) -> Steps:
        rows = input_ids.shape[1]
        steps = self._steps.get(rows)
        if steps is None:
            steps = self._steps[rows] = Steps(self._parts[:-1], self._shape, rows)
        model = self.plain.model
        embedded = model.embed_tokens(input_ids)
        cos, sin = model.rotary_emb(embedded, position_ids)
        half = self._shape.dim // 2
        steps.cos.copy_(cos[0, :, :half])
        steps.sin.copy_(sin[0, :, :half])
        steps.embedded.copy_(embedded)
        steps.normed.copy_(model.layers[0].input_layernorm(embedded))
        return steps

    def _ended(self, steps: Steps, wanted: int | Tensor) -> Tensor:
        which = slice(-wanted, None) if isinstance(wanted, int) else wanted  # 0: all of them
        stream, mixed = steps.final[:, which], steps.mixed[:, which]
        rows = stream.shape[1]
        ending = self._endings.get(rows)
        if ending is None:
            ending = self._endings[rows] = Ending(self._parts[-1], self._shape, rows)
        ending.stream.copy_(stream)
        ending.mixed.copy_(mixed)
        return ending.run()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Between two parts there is too little to do for sharing it out to pay."""
    before = torch.get_num_threads()
    if before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
