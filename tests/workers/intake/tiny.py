"""Networks of a few thousand weights, written as the libraries write them."""

import json
import zipfile
from pathlib import Path

import torch
import transformers as hf
from tokenizers import Tokenizer, models, pre_tokenizers, processors

TEXT = {"vocab_size": 60, "max_position_embeddings": 64}
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
WORDS = ("<pad>", "<unk>", "<s>", *(f"word{number}" for number in range(57)))


def bert(folder: Path, *, classes: int = 0) -> torch.nn.Module:
    config = hf.BertConfig(**TEXT, **SMALL, num_labels=classes or 2)
    return _save(hf.BertForSequenceClassification(config) if classes else hf.BertModel(config), folder)


def distilbert(folder: Path) -> torch.nn.Module:
    config = hf.DistilBertConfig(**TEXT, dim=32, n_layers=2, n_heads=4, hidden_dim=64, num_labels=3)
    return _save(hf.DistilBertForSequenceClassification(config), folder)


def vit(folder: Path) -> torch.nn.Module:
    config = hf.ViTConfig(**SMALL, image_size=32, patch_size=8, num_labels=5)
    return _save(hf.ViTForImageClassification(config), folder)


def llama(folder: Path) -> torch.nn.Module:
    config = hf.LlamaConfig(**TEXT, **SMALL, num_key_value_heads=2, tie_word_embeddings=True)
    return _save(hf.LlamaForCausalLM(config), folder)


def gpt2(folder: Path) -> torch.nn.Module:
    config = hf.GPT2Config(
        vocab_size=60, n_positions=64, n_embd=32, n_layer=2, n_head=4, bos_token_id=2, eos_token_id=2
    )
    return _save(hf.GPT2LMHeadModel(config), folder)


def _save(model: torch.nn.Module, folder: Path) -> torch.nn.Module:
    model.eval().save_pretrained(folder, safe_serialization=True)
    return model


def tokenizer(folder: Path) -> Tokenizer:
    """One token for each known word, a start token before them."""
    made = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 2)])
    folder.mkdir(parents=True, exist_ok=True)
    made.save(str(folder / "tokenizer.json"))
    return made


def zipped(folder: Path, to: Path, **extra: bytes) -> Path:
    """The folder as it is uploaded; ``extra`` members come from the caller, with ``__`` for a dot."""
    with zipfile.ZipFile(to, "w") as packed:
        for item in sorted(folder.rglob("*")):
            if item.is_file():
                packed.write(item, f"{folder.name}/{item.relative_to(folder)}")
        for name, data in extra.items():
            packed.writestr(f"{folder.name}/{name.replace('__', '.')}", data)
    return to


def with_setting(folder: Path, name: str, **change: object) -> None:
    path = folder / name
    said = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(said | change))
