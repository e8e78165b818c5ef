"""Tokenizers from the usual files, held against transformers' slow BERT and a byte-level BPE written out as a loop."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
import regex
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers.models.bert.tokenization_bert_legacy import BertTokenizerLegacy

from tests.workers.intake import tiny
from tests.workers.intake.test_convert import contract_of, converted
from tests.workers.intake.test_refusals import GOOD, refusal, upload
from workers import intake
from workers.intake.errors import NotConverted
from workers.intake.tokenizing import bring

PROSE = (
    "The quick brown fox doesn't jump over 13 lazy dogs; it's naïve, isn't it?",
    "Une école déjà vue, Ça ÇA ça! São Paulo 2024-11-29, 東京 と 北京, 😀😀 emoji.",
    "word words wording reworded unwordable - hyphen-ated e-mail@example.org 3.14",
)
AWKWARD = (
    "", " ", "The NAÏVE Fox", "école ÉCOLE", "東京word 北京", "don't WE'LL", "  two  gaps\tand\nlines\r\n",
    "no\u00a0break\u200bzero\u3000wide", "nul\x00 control\x07 \ufffd", "😀 word😀word 👩\u200d🔬", "İstanbul ẞ ǅ",
    "unwordablewordword", "x" * 300, "13.14,15;16", "\u0645\u0631\u062d\u0628\u0627 हिन्दी", " leading and trailing ",
)  # fmt: skip
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PATTERN = regex.compile(
    r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""  # Radford et al. 2019, encoder.py
)


def word_pieces(folder: Path) -> Path:
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=False)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    texts = [*PROSE, *(text.lower() for text in PROSE)]
    made.train_from_iterator(texts, trainers.WordPieceTrainer(vocab_size=250, special_tokens=SPECIAL))
    vocabulary = made.get_vocab()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(sorted(vocabulary, key=vocabulary.get)) + "\n", encoding="utf-8")
    return folder


def byte_pairs(folder: Path) -> Path:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet, special = pre_tokenizers.ByteLevel.alphabet(), ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    made.train_from_iterator(
        PROSE, trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, special_tokens=special)
    )
    folder.mkdir(parents=True, exist_ok=True)
    made.model.save(str(folder))
    return folder


def brought(folder: Path, model_type: str, **settings: object) -> Tokenizer:
    (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    bring(folder, folder.parent / "tokenizer.json")
    return Tokenizer.from_file(str(folder.parent / "tokenizer.json"))


def slow_pairs(folder: Path, text: str) -> list[int]:
    """Byte-level BPE as its authors wrote it: join the pair that was learnt first, again and again."""
    vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    lines = (folder / "merges.txt").read_text(encoding="utf-8").split("\n")
    order = {tuple(line.split(" ")): place for place, line in enumerate(lines) if line and not line.startswith("#v")}
    letters = readable_bytes()
    found = []
    for word in PATTERN.findall(text):
        parts = [letters[byte] for byte in word.encode("utf-8")]
        while known := [pair for pair in pairwise(parts) if pair in order]:
            first = min(known, key=order.__getitem__)
            joined = []
            for part in parts:
                whole = joined and (joined[-1], part) == first and joined[-1] == first[0]
                joined = [*joined[:-1], joined[-1] + part] if whole else [*joined, part]
            parts = joined
        found += [vocabulary[part] for part in parts]
    return found


def readable_bytes() -> dict[int, str]:
    kept = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in kept]
    return {byte: chr(byte) for byte in kept} | {byte: chr(256 + place) for place, byte in enumerate(others)}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"do_lower_case": False},
        {"do_lower_case": True, "strip_accents": False},
        {"do_lower_case": False, "strip_accents": True},
        {"tokenize_chinese_chars": False},
        {"tokenizer_class": "DistilBertTokenizer"},
    ],
)
def test_word_pieces_are_those_of_the_slow_tokenizer(tmp_path, settings):
    folder = word_pieces(tmp_path / "net")
    slow = BertTokenizerLegacy(
        str(folder / "vocab.txt"), **{key: value for key, value in settings.items() if key != "tokenizer_class"}
    )

    made = brought(folder, "bert", **settings)

    # With accents kept, the slow one alone composes letters first.
    apart = ("e\u0301cole E\u0301",) if settings.get("do_lower_case", True) and "strip_accents" not in settings else ()
    for text in (*AWKWARD, *PROSE, *apart, "[CLS] word [MASK]"):
        assert made.encode(text).ids == slow(text)["input_ids"], text
    assert len({tuple(made.encode(text).ids) for text in AWKWARD}) > len(AWKWARD) / 2


@pytest.mark.parametrize(("model_type", "around"), [("gpt2", ([], [])), ("roberta", ([0], [2]))])
def test_byte_pairs_are_those_of_a_slow_loop(tmp_path, model_type, around):
    folder = byte_pairs(tmp_path / "net")

    made = brought(folder, model_type)

    for text in (*AWKWARD, *PROSE):
        assert made.encode(text).ids == [*around[0], *slow_pairs(folder, text), *around[1]], text
        assert made.decode(made.encode(text).ids) == text


def test_added_tokens_and_settings_are_followed(tmp_path):
    folder = byte_pairs(tmp_path / "net")
    (folder / "added_tokens.json").write_text(json.dumps({"<tool>": 400}))

    made = brought(folder, "roberta", add_prefix_space=True)

    assert made.encode("word").ids == [0, *slow_pairs(folder, " word"), 2]
    assert made.encode("word<tool>").ids[-2:] == [400, 2]


def test_a_tokenizer_json_is_taken_as_it_is(tmp_path):
    tiny.tokenizer(tmp_path / "net")
    word_pieces(tmp_path / "net")

    made = brought(tmp_path / "net", "bert")

    assert made.to_str() == Tokenizer.from_file(str(tmp_path / "net" / "tokenizer.json")).to_str()


def test_a_directory_with_word_pieces_arrives_with_a_tokenizer(tmp_path):
    tiny.bert(tmp_path / "net", classes=3)
    word_pieces(tmp_path / "net")

    file = converted(tmp_path / "net", tmp_path)

    _, contract = contract_of(file)
    assert contract.tokenizer is not None and contract.tokenizer.max_length == 64
    assert [path.name for path in intake.unpack(file, tmp_path / "beside")] == ["tokenizer.json"]
    made = Tokenizer.from_file(str(tmp_path / "beside" / "tokenizer.json"))
    assert made.encode("The Fox").tokens[0] == "[CLS]" and made.truncation is None


CONFIG = json.dumps({"model_type": "xlm-roberta", "architectures": ["XLMRobertaModel"]}).encode()


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"sentencepiece.bpe.model": b"\x0a\x0e"}, "model.tokenizer-sentencepiece"),
        ({"vocab.json": b"{}"}, "model.tokenizer-broken"),
        ({"merges.txt": b"a b"}, "model.tokenizer-broken"),
        ({"vocab.json": b"[", "merges.txt": b"a b"}, "model.settings-broken"),
    ],
)
def test_tokenizer_files_that_are_not_read_are_refused_at_once(members, code, tmp_path):
    path = upload(tmp_path / "u.zip", {"config.json": CONFIG, "model.safetensors": GOOD, **members})

    assert refusal(path, tmp_path).code == code


def test_a_class_that_reads_other_files_is_refused_rather_than_left_without_words(tmp_path):
    folder = byte_pairs(tmp_path / "net")

    for model_type in ("llama", "albert"):  # whose own classes read SentencePiece
        with pytest.raises(NotConverted, match=r"without [\d,]+ of their tokens|says: Couldn't instantiate"):
            brought(folder, model_type)

    named = brought(folder, "llama", tokenizer_class="GPT2Tokenizer")
    assert named.encode("word").ids == slow_pairs(folder, "word")


@pytest.mark.parametrize(
    ("model_type", "files"),
    [("bert", {"vocab.txt": b"\xff\xfe"}), ("gpt2", {"vocab.json": b"{}", "merges.txt": b"a"})],
)
def test_broken_files_are_refused_with_what_would_help(tmp_path, model_type, files):
    (tmp_path / "net").mkdir()
    for name, data in files.items():
        (tmp_path / "net" / name).write_bytes(data)

    with pytest.raises(NotConverted) as caught:
        brought(tmp_path / "net", model_type)

    assert caught.value.code == "model.tokenizer-broken" and "tokenizer.json" in caught.value.hint


def test_the_slow_alphabet_is_that_of_the_library():
    assert sorted(readable_bytes().values()) == sorted(pre_tokenizers.ByteLevel.alphabet())
