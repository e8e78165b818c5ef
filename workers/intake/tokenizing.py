"""The tokenizer of a directory as one ``tokenizer.json``, whichever of the usual files it came in.

WordPiece (``vocab.txt``) and byte-level BPE (``vocab.json`` with ``merges.txt``) are read by the tokenizer classes of
transformers, which follow ``tokenizer_config.json`` as they do everywhere else; SentencePiece is refused, because
reading it takes a library that is not here.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection
from pathlib import Path

from workers.intake.companions import TOKENIZER_FILE
from workers.intake.errors import SAVE_TOKENIZER, NotConverted

WORD_PIECES, PAIRS, MERGES = "vocab.txt", "vocab.json", "merges.txt"


def see_readable(names: Collection[str]) -> None:
    """Refuse tokenizer files of a directory that would leave its network without a tokenizer.

    Args:
        names: of the directory's members.

    Raises:
        NotConverted: for SentencePiece alone, or one of the two files of a byte-level BPE alone.
    """
    if TOKENIZER_FILE in names or WORD_PIECES in names or {PAIRS, MERGES} <= set(names):
        return
    pieces = next((name for name in names if "/" not in name and name.endswith((".model", ".spm"))), "")
    if pieces:
        raise NotConverted(
            f"Expected the tokenizer as {TOKENIZER_FILE}, {WORD_PIECES}, or {PAIRS} with {MERGES}, found"
            f" {pieces[:80]!r}, a SentencePiece model.",
            hint=f"{SAVE_TOKENIZER} Without text as data, leave the file out.",
            code="model.tokenizer-sentencepiece",
        )
    if PAIRS in names or MERGES in names:
        there, missing = (PAIRS, MERGES) if PAIRS in names else (MERGES, PAIRS)
        raise NotConverted(
            f"Expected {PAIRS} and {MERGES} of a byte-level BPE tokenizer, found {there} without {missing}.",
            hint=f"Add {missing}. {SAVE_TOKENIZER}",
            code="model.tokenizer-broken",
        )


def bring(folder: Path, to: Path) -> None:
    """Write the tokenizer of a checked folder to ``to``; nothing where it has none.

    Raises:
        NotConverted: if its files cannot be read, or the tokenizer made of them lacks some of their tokens.
    """
    own = folder / TOKENIZER_FILE
    if own.exists():
        shutil.copyfile(own, to)
    elif (folder / WORD_PIECES).exists() or (folder / MERGES).exists():
        to.write_text(_made(folder), encoding="utf-8")


def _made(folder: Path) -> str:
    import transformers

    try:
        vocabulary = _vocabulary(folder)
        made = transformers.AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
        backend = made.backend_tokenizer
        lacking = vocabulary - backend.get_vocab().keys()
    except Exception as error:  # the tokenizers library raises plain Exception
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise _unreadable(f"files of which transformers says: {said[0][:160].rstrip(': ')}") from None
    if lacking:
        raise _unreadable(f"a {type(made).__name__} without {len(lacking):,} of their tokens")
    backend.no_truncation()
    backend.no_padding()
    return str(backend.to_str())


def _vocabulary(folder: Path) -> set[str]:
    if (folder / WORD_PIECES).exists():
        return set(map(str.rstrip, (folder / WORD_PIECES).read_text(encoding="utf-8").split("\n"))) - {""}
    return set(json.loads((folder / PAIRS).read_text(encoding="utf-8")))


def _unreadable(found: str) -> NotConverted:
    return NotConverted(
        f"Expected tokenizer files that the network's tokenizer class reads, found {found}.",
        hint=f"Name the class in tokenizer_config.json (tokenizer_class). {SAVE_TOKENIZER}",
        code="model.tokenizer-broken",
    )
