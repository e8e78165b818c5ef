"""What a GGUF file says of its network and transformers does not read: positions, head widths, context.

Source: the format's page (github.com/ggml-org/ggml/blob/master/docs/gguf.md), and llama.cpp's convert_hf_to_gguf.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workers.intake.errors import NotConverted
from workers.intake.gguf import Header

ROTATIONS = "rope_freqs.weight"  # by how much each pair of features turns slower; Llama 3.1 and later
# Names of settings in a transformers configuration, by their key behind the architecture's name.
ALSO: dict[str, dict[str, str]] = {
    "gpt2": {"context_length": "n_positions", "feed_forward_length": "n_inner"},
    "llama": {"attention.key_length": "head_dim"},
    "phi3": {"attention.sliding_window": "sliding_window"},
    "qwen2": {},
    "qwen3": {"attention.key_length": "head_dim"},
    "stablelm": {},
}
PARTLY_TURNED = ("phi3", "stablelm")
USUAL_BASE = 10_000.0


def completed(config: Mapping[str, Any], header: Header) -> dict[str, Any]:
    """The configuration as transformers reads it from the file, with what it leaves out.

    Raises:
        NotConverted: for positions that are scaled in a way that is not followed.
    """
    kind, said = header.architecture, header.numbers
    _refuse_scaled_positions(header)
    own = {name: said[f"{kind}.{key}"] for key, name in ALSO[kind].items() if f"{kind}.{key}" in said}
    whole = dict(config) | own | {"pad_token_id": said.get("tokenizer.ggml.padding_token_id")}
    if kind == "gpt2":
        return whole
    whole.pop("rope_theta", None)
    turning: dict[str, Any] = {"rope_type": "default", "rope_theta": said.get(f"{kind}.rope.freq_base", USUAL_BASE)}
    turned = said.get(f"{kind}.rope.dimension_count")
    if kind in PARTLY_TURNED and turned:
        turning["partial_rotary_factor"] = turned / (whole["hidden_size"] // whole["num_attention_heads"])
    return whole | {"rope_parameters": turning}


def turn_slower(embedding: Any, path: Path) -> None:
    """Divide the speeds at which a rotary embedding turns its pairs of features by those the file lists."""
    import torch
    from gguf import GGUFReader

    tables = {tensor.name: tensor.data for tensor in GGUFReader(str(path)).tensors}
    factors = torch.from_numpy(tables[ROTATIONS].copy()).float()
    embedding.inv_freq = embedding.inv_freq / factors  # (head width / 2,)


def _refuse_scaled_positions(header: Header) -> None:
    factor = header.numbers.get(f"{header.architecture}.rope.scaling.factor", 1)
    tables = [name for name in header.tensors if name.startswith("rope_factors")]
    if factor in (0, 1) and not tables:
        return
    raise NotConverted(
        f"Expected positions that are not scaled, found {tables[0] if tables else f'a factor of {factor:g}'!r}.",
        hint="Upload the network as a Hugging Face directory instead.",
        code="model.gguf-positions",
    )
