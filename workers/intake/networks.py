"""Networks of the families, with what their directory says about pooling, and how each is fed."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ.update(
    HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1", DISABLE_TELEMETRY="1",
    TRANSFORMERS_VERBOSITY="error", HF_HUB_DISABLE_PROGRESS_BARS="1", TOKENIZERS_PARALLELISM="false",
)  # fmt: skip
# They are read at the import, which comes below: a child has no network, and writes nothing outside its folder.

import torch
import transformers
from torch import Tensor, nn

from workers.intake import gguf_settings
from workers.intake.directory import Directory
from workers.intake.errors import EXPORT, SAVE_AGAIN, NotConverted
from workers.intake.families import Head
from workers.intake.gguf import Header

TOKENS = ("input_ids", "attention_mask")
MAY_BE_MISSING = ("pooler", "position_ids", "lm_head", "embeddings_project", "inv_freq")
CLASSES = {
    Head.EMBEDDING: "AutoModel",
    Head.CLASSES: "AutoModelForSequenceClassification",
    Head.PICTURE_CLASSES: "AutoModelForImageClassification",
    Head.NEXT_TOKEN: "AutoModelForCausalLM",
}


class Pooled(nn.Module):
    """One vector for a text: the mean over its tokens, its first token's, or the largest of each feature."""

    def __init__(self, model: nn.Module, how: str, *, unit_length: bool) -> None:
        super().__init__()
        self.model, self.how, self.unit_length = model, how, unit_length

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        hidden = self.model(input_ids=input_ids, attention_mask=attention_mask)[0]  # (rows, tokens, features)
        mask = attention_mask[:, :, None].to(hidden.dtype)
        if self.how == "first":
            vector = hidden[:, 0]
        elif self.how == "max":
            vector = (hidden * mask + (mask - 1) * 1e9).max(dim=1).values
        else:
            vector = (hidden * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1e-9)
        length = vector.norm(dim=1, keepdim=True).clamp(min=1e-12) if self.unit_length else 1.0
        pooled: Tensor = vector / length
        return pooled


class Scored(nn.Module):
    """Scores for classes, of a text or a picture."""

    def __init__(self, model: nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *values: Tensor) -> Tensor:
        scores: Tensor = self.model(**dict(zip(self.names, values, strict=True)))[0]
        return scores


class NextToken(nn.Module):
    """Scores for the next token at every place, (rows, tokens, vocabulary).

    Places are counted from the end of the mask: with a mask of the tokens' own length they stand at its beginning, as
    in a window; with a longer one at its end, as when earlier keys and values are kept (``workers.graph.cache``).
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        total = attention_mask.shape[1]
        here = torch.arange(total - input_ids.shape[1], total)  # (tokens,)
        behind = here[:, None] - torch.arange(total)  # (tokens, total): how far back each place lies
        seen = (behind >= 0) & (attention_mask[:, None, None, :] > 0)  # (rows, 1, tokens, total)
        scores: Tensor = self.model(
            input_ids=input_ids, attention_mask=self._masks(seen, behind), position_ids=here[None], use_cache=False
        )[0]
        return scores

    def _masks(self, seen: Tensor, behind: Tensor) -> Tensor | dict[str, Tensor]:
        """What the network adds to its attention, by kind of layer where it has several."""
        config: Any = self.model.config
        window, kinds = getattr(config, "sliding_window", None), getattr(config, "layer_types", None)
        near = _bias(seen & (behind < window)) if window else _bias(seen)
        if not kinds:
            return near
        return {"full_attention": _bias(seen), "sliding_attention": near}


def _bias(seen: Tensor) -> Tensor:
    return torch.where(seen, 0.0, torch.finfo(torch.float32).min)


@dataclass(frozen=True)
class Network:
    """A network ready to be traced: its inputs, its one output, and rows to feed it."""

    module: nn.Module
    head: Head
    config: Any
    inputs: tuple[str, ...]
    output: str
    axes: dict[str, dict[int, str]]
    make: Callable[[int, int], dict[str, Tensor]]
    max_length: int
    reference: Callable[..., Tensor] | None = None  # what the file must agree with, where that is not the module


def of_directory(directory: Directory) -> Network:
    """Load a checked directory.

    Raises:
        NotConverted: if weights are missing, or the settings contradict them.
    """
    auto = getattr(transformers, CLASSES[directory.head])
    try:
        model, info = auto.from_pretrained(
            str(directory.folder), local_files_only=True, trust_remote_code=False, use_safetensors=True,
            attn_implementation="eager", dtype=torch.float32, output_loading_info=True,
        )  # fmt: skip
    except (ValueError, RuntimeError, KeyError, TypeError, OSError, AttributeError) as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise NotConverted(
            f"Expected settings and weights that belong together; transformers says: {said[0][:200]}",
            hint=SAVE_AGAIN,
            code="model.not-loadable",
        ) from None
    missing = sorted(key for key in info["missing_keys"] if not any(part in key for part in MAY_BE_MISSING))
    if missing or info.get("mismatched_keys"):
        raise NotConverted(
            f"Expected all weights of {directory.architecture}, found {len(missing)} missing, such as "
            f"{', '.join(missing[:3]) or 'those of another shape'}.",
            hint=SAVE_AGAIN,
            code="model.weights-missing",
        )
    return describe(model, directory)


def describe(model: Any, directory: Directory) -> Network:
    """How to feed a loaded model."""
    if directory.head is Head.PICTURE_CLASSES:
        return _of_pictures(model)
    if directory.head is Head.NEXT_TOKEN:
        return of_language(model)
    module = _pooled(model, directory) if directory.head is Head.EMBEDDING else Scored(model, TOKENS)
    output = "embedding" if directory.head is Head.EMBEDDING else "logits"
    return _of_tokens(module, directory.head, model.config, output, {0: "batch"}, _text_length(directory, model.config))


def of_language(model: Any) -> Network:
    """A causal language model."""
    most = int(getattr(model.config, "max_position_embeddings", 2048))
    axes = {0: "batch", 1: "sequence"}
    plain = _of_tokens(NextToken(model), Head.NEXT_TOKEN, model.config, "logits", axes, most)
    longer = plain.axes | {"attention_mask": {0: "batch", 1: "total"}}  # earlier tokens may be kept, see NextToken

    def reference(input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        scores: Tensor = model(input_ids=input_ids, attention_mask=attention_mask, use_cache=False)[0]
        return scores

    return replace(plain, axes=longer, reference=reference)


def _of_tokens(module: nn.Module, head: Head, config: Any, output: str, free: dict[int, str], most: int) -> Network:
    torch.manual_seed(0)

    def make(rows: int, length: int) -> dict[str, Tensor]:
        ids = torch.randint(3, max(4, config.vocab_size), (rows, length))
        mask = torch.ones(rows, length, dtype=torch.long)
        if rows > 1 and length > 2:
            mask[0, -2:] = 0
            if head is Head.NEXT_TOKEN:
                mask[0, -2:] = 1  # what a masked place answers means nothing, and need not agree
        return {"input_ids": ids, "attention_mask": mask}

    axes = {name: {0: "batch", 1: "sequence"} for name in TOKENS} | {output: free}
    return Network(module, head, config, TOKENS, output, axes, make, most)


def _of_pictures(model: Any) -> Network:
    torch.manual_seed(0)
    config = model.config
    size = config.image_size if isinstance(config.image_size, int) else config.image_size[0]

    def make(rows: int, length: int) -> dict[str, Tensor]:
        return {"pixel_values": torch.rand(rows, config.num_channels, size, size)}

    axes = {"pixel_values": {0: "batch"}, "logits": {0: "batch"}}
    module = Scored(model, ("pixel_values",))
    return Network(module, Head.PICTURE_CLASSES, config, ("pixel_values",), "logits", axes, make, 0)


def _pooled(model: nn.Module, directory: Directory) -> Pooled:
    """As sentence-transformers would pool, where the directory says how; else the mean over the tokens."""
    said = directory.settings.get("1_Pooling/config.json", {})
    ways = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "first", "pooling_mode_max_tokens": "max"}
    chosen = [key for key, value in said.items() if key.startswith("pooling_mode") and value is True]
    strange = [key for key in chosen if key not in ways]
    if strange or len(chosen) > 1:
        raise NotConverted(
            f"Expected pooling by mean, first token or maximum, found {', '.join(map(str, chosen))[:120]}.",
            hint=EXPORT,
            code="model.unknown-pooling",
        )
    how = ways[chosen[0]] if chosen else "mean"
    return Pooled(model, how, unit_length=any(module.endswith(".Normalize") for module in directory.modules))


def _text_length(directory: Directory, config: Any) -> int:
    """The most tokens the network was made for: its own limit, or the shorter one its directory names."""
    named = [
        directory.settings.get("sentence_bert_config.json", {}).get("max_seq_length"),
        directory.settings.get("tokenizer_config.json", {}).get("model_max_length"),
        getattr(config, "max_position_embeddings", None),
    ]
    usable = [int(value) for value in named if isinstance(value, int | float) and 0 < value < 1 << 20]
    return min(usable, default=512)


def of_gguf(path: Path, header: Header) -> tuple[Network, str]:
    """Load a checked GGUF file, its weights brought back to float32.

    Returns:
        The network and its tokenizer, as the text of a ``tokenizer.json``.
    """
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

    read: Any = load_gguf_checkpoint  # neither is typed
    auto: Any = transformers.AutoModelForCausalLM
    config = transformers.AutoConfig.for_model(**gguf_settings.completed(read(str(path))["config"], header))
    with torch.device("meta"):
        empty = auto.from_config(config)
    weights = read(str(path), return_tensors=True, model_to_load=empty)["tensors"]
    with _without_first_weights():
        model = auto.from_config(config, attn_implementation="eager", dtype=torch.float32)
    try:
        said = model.load_state_dict({name: value.float() for name, value in weights.items()}, strict=False)
    except RuntimeError as error:
        raise _no_match(f"shapes that differ: {str(error).splitlines()[-1].strip()[:160]}") from None
    model.tie_weights()
    missing = [name for name in said.missing_keys if not (name == "lm_head.weight" and config.tie_word_embeddings)]
    turning = gguf_settings.ROTATIONS in header.tensors
    strange = len(header.tensors) - len(weights) - turning + len(said.unexpected_keys)
    if missing or strange:
        raise _no_match(f"{len(missing)} missing {missing[:3]} and {strange} strange ones")
    if turning:
        gguf_settings.turn_slower(model.model.rotary_emb, path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(
        str(path.parent), gguf_file=path.name, local_files_only=True, trust_remote_code=False
    )
    return of_language(model.eval()), tokenizer.backend_tokenizer.to_str()


def _no_match(found: str) -> NotConverted:
    return NotConverted(
        f"Expected all weights of the network that the GGUF file describes and no others, found {found}.",
        hint="Upload the network as a Hugging Face directory instead.",
        code="model.weights-missing",
    )


def _without_first_weights() -> Any:
    """Do not fill with random numbers what is overwritten at once; that takes longer than the conversion."""
    from transformers import initialization

    return initialization.no_init_weights()
