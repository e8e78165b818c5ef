"""A GGUF file written with the format's own library, converted, and held against the network it was made from."""

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers as hf

from tests.workers.intake import tiny
from tests.workers.intake.test_convert import answers, contract_of
from workers import intake
from workers.contract import Task

gguf = pytest.importorskip("gguf")
NAMES = {
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}  # fmt: skip


def interleaved(weight: np.ndarray, heads: int) -> np.ndarray:
    """llama.cpp turns neighbouring features, transformers the two halves of a head."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def written(model: torch.nn.Module, path: Path) -> None:
    config = model.config
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10_000.0)
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(["t", "1", "t1", *(f"w{number}" for number in range(config.vocab_size - 3))])
    writer.add_token_merges(["t 1"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    for name, value in model.state_dict().items():
        weight = value.numpy()
        if name == "lm_head.weight":
            continue  # tied
        if "q_proj" in name or "k_proj" in name:
            weight = interleaved(weight, config.num_attention_heads if "q_proj" in name else config.num_key_value_heads)
        writer.add_tensor(_name(name), np.ascontiguousarray(weight))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _name(name: str) -> str:
    if not name.startswith("model.layers."):
        return {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight"}[name]
    _, _, layer, rest = name.split(".", 3)
    return f"blk.{layer}.{NAMES[rest.removesuffix('.weight')]}.weight"


def test_a_gguf_language_model_answers_as_the_network_it_was_made_from(tmp_path):
    config = hf.LlamaConfig(**tiny.TEXT, **tiny.SMALL, num_key_value_heads=2, tie_word_embeddings=True)
    model = hf.LlamaForCausalLM(config).eval()
    written(model, tmp_path / "net.gguf")
    ids, mask = torch.randint(3, 60, (4, 9)), torch.ones(4, 9, dtype=torch.long)

    form = intake.form_of(tmp_path / "net.gguf")
    file = intake.convert(
        tmp_path / "net.gguf", form, out=tmp_path / "out", scratch=tmp_path / "scratch", threads=1, log=lambda _: None
    )
    proto, contract = contract_of(file)

    with torch.no_grad():
        expected = model(input_ids=ids, attention_mask=mask)[0].numpy()
    np.testing.assert_allclose(answers(proto, ids, mask), expected, atol=1e-4)
    assert contract.task is Task.CAUSAL_LM and contract.tokenizer is not None
