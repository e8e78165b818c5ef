"""GGUF files written with the format's own library, converted, and held against the networks they were made from."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers as hf

from tests.workers.intake import tiny
from tests.workers.intake.test_convert import answers, contract_of
from workers import intake
from workers.contract import Task
from workers.errors import YoursToFix

gguf = pytest.importorskip("gguf")
PLAIN = {"rope_type": "default", "rope_theta": 7777.0}  # not what any of them takes where nothing is said
HALF = PLAIN | {"partial_rotary_factor": 0.5}
LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 50.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}  # fmt: skip
GROUPED = tiny.TEXT | tiny.SMALL | {"num_key_value_heads": 2}
ENDS = {"bos_token_id": 1, "eos_token_id": 2}


def llama(**rope: object) -> torch.nn.Module:
    return hf.LlamaForCausalLM(hf.LlamaConfig(**GROUPED, rope_parameters=rope or PLAIN, tie_word_embeddings=True))


MODELS: dict[str, Callable[[], torch.nn.Module]] = {
    "llama": llama,
    "qwen2": lambda: hf.Qwen2ForCausalLM(hf.Qwen2Config(**GROUPED, rope_parameters=PLAIN, rms_norm_eps=3e-5)),
    "qwen3": lambda: hf.Qwen3ForCausalLM(
        hf.Qwen3Config(**GROUPED, head_dim=12, rope_parameters=PLAIN, tie_word_embeddings=True)
    ),
    "phi3": lambda: hf.Phi3ForCausalLM(hf.Phi3Config(**GROUPED, rope_parameters=HALF, pad_token_id=0, **ENDS)),
    "stablelm": lambda: hf.StableLmForCausalLM(
        hf.StableLmConfig(**GROUPED, rope_parameters=HALF, layer_norm_eps=3e-5, use_qkv_bias=True)
    ),
    "gpt2": lambda: hf.GPT2LMHeadModel(
        hf.GPT2Config(vocab_size=60, n_positions=64, n_embd=32, n_layer=2, n_head=4, n_inner=48, **ENDS)
    ),
}


def interleaved(weight: np.ndarray, heads: int) -> np.ndarray:
    """llama.cpp turns neighbouring features, transformers the two halves of a head."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def written(arch: str, model: torch.nn.Module, path: Path, **extra: np.ndarray) -> Path:
    """The file llama.cpp's converter would write; ``extra`` tensors come with ``__`` for a dot."""
    config = model.config
    writer = gguf.GGUFWriter(str(path), arch)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.n_inner if arch == "gpt2" else config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    if arch in ("gpt2", "stablelm"):
        writer.add_layer_norm_eps(config.layer_norm_epsilon if arch == "gpt2" else config.layer_norm_eps)
    else:
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    if arch != "gpt2":
        _positions(writer, arch, config)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(["t", "1", "t1", *(f"w{number}" for number in range(config.vocab_size - 3))])
    writer.add_token_merges(["t 1"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    for name, value in _tensors(arch, model).items():
        writer.add_tensor(name, np.ascontiguousarray(value))
    for name, value in extra.items():
        writer.add_tensor(name.replace("__", "."), value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _positions(writer: "gguf.GGUFWriter", arch: str, config: hf.PretrainedConfig) -> None:
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_rope_dimension_count(int(width * config.rope_parameters.get("partial_rotary_factor", 1)))
    if arch == "qwen3":
        writer.add_key_length(width)
        writer.add_value_length(width)


def _tensors(arch: str, model: torch.nn.Module) -> dict[str, np.ndarray]:
    """Names by the format's own table; layouts as llama.cpp stores them."""
    config = model.config
    number = next(key for key, value in gguf.MODEL_ARCH_NAMES.items() if value == arch)
    names = gguf.get_tensor_name_map(number, config.num_hidden_layers)
    found = {}
    for name, tensor in model.state_dict().items():
        stem, _, suffix = name.rpartition(".")
        value = tensor.numpy()
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        if arch == "llama" and stem.endswith(("q_proj", "k_proj")):
            heads = config.num_attention_heads if stem.endswith("q_proj") else config.num_key_value_heads
            value = interleaved(value, heads)
        if arch == "gpt2" and name.endswith((".c_attn.weight", ".c_proj.weight", ".c_fc.weight")):
            value = value.T  # GPT-2 keeps its linear layers the other way round
        found[f"{names.get_name(stem)}.{suffix}"] = value
    return found


def made(build: Callable[[], torch.nn.Module]) -> torch.nn.Module:
    torch.manual_seed(0)
    model = build().eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.2 * torch.randn_like(weight))  # biases and norms too
    return model


def see_it_answers_alike(model: torch.nn.Module, path: Path, folder: Path) -> None:
    torch.manual_seed(1)
    ids, mask = torch.randint(3, 60, (4, 40)), torch.ones(4, 40, dtype=torch.long)

    form = intake.form_of(path)
    file = intake.convert(path, form, out=folder / "out", scratch=folder / "scratch", threads=1, log=lambda _: None)
    proto, contract = contract_of(file)

    with torch.no_grad():
        expected = model(input_ids=ids, attention_mask=mask)[0].numpy()
    np.testing.assert_allclose(answers(proto, ids, mask), expected, atol=1e-4 * np.abs(expected).max())
    assert contract.task is Task.CAUSAL_LM and contract.tokenizer is not None


@pytest.mark.parametrize("arch", MODELS)
def test_a_language_model_answers_as_the_network_it_was_made_from(tmp_path, arch):
    model = made(MODELS[arch])

    see_it_answers_alike(model, written(arch, model, tmp_path / "net.gguf"), tmp_path)


def test_positions_that_turn_slower_are_followed(tmp_path):
    """Llama 3.1 and later: the file lists by how much; transformers computes it from four numbers."""
    model, plain = made(lambda: llama(**LLAMA3)), made(lambda: llama(rope_type="default", rope_theta=50.0))
    slower = (plain.model.rotary_emb.inv_freq / model.model.rotary_emb.inv_freq).numpy()
    assert slower.min() == 1 and slower.max() == pytest.approx(8)  # so that following them matters

    path = written("llama", model, tmp_path / "net.gguf", rope_freqs__weight=slower)

    see_it_answers_alike(model, path, tmp_path)


@pytest.mark.parametrize(
    ("name", "code"),
    [("rope_factors_long__weight", "model.gguf-positions"), ("blk__0__attn_q_norm__weight", "model.weights-missing")],
)
def test_weights_that_would_be_left_out_are_refused(tmp_path, name, code):
    path = written("llama", made(llama), tmp_path / "net.gguf", **{name: np.ones(4, np.float32)})

    with pytest.raises(YoursToFix) as caught:
        see_it_answers_alike(made(llama), path, tmp_path)

    assert caught.value.code == code and "found" in caught.value.message
