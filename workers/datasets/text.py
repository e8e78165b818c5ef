"""Text: JSON lines with ``text`` and ``label``, or ``query`` and ``document``, and plain prose in passages.

Tokens come later, from the network's own tokenizer: what a file holds does not depend on who reads it.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from workers.contract import InputSpec
from workers.datasets.npz import WORDS
from workers.datasets.raw import Array, BadData, Raw, digest_of
from workers.facts import Role

TEXT, QUERY, DOCUMENT = "text", "query", "document"
LONGEST_LINE_BYTES = 4 << 20
MOST_ROWS = 5_000_000
PASSAGE_CHARACTERS = 800
SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
PROSE_SHARE = 0.75
FEWEST_PROSE_WORDS = 20
JSONL_HINT = (
    'Write one JSON object a line: {"text": "...", "label": "..."} for classes, {"query": "...", "document": "..."} '
    'for retrieval, {"text": "..."} for language models; "split" may name train, validation or test.'
)


class Texts:
    """Texts of all rows."""

    dtype = "text"
    shape: tuple[int, ...] = ()

    def __init__(self, values: list[str]) -> None:
        self.values = values

    def take(self, rows: Array, spec: InputSpec | None = None) -> Array:
        raise BadData(
            "Expected numbers for a network without a tokenizer, found text.",
            hint="Upload the network as a Hugging Face directory, or as a zip with tokenizer.json beside model.onnx.",
            code="data.no-tokenizer",
        )

    def digest(self, rows: Array) -> list[bytes]:
        return [digest_of(" ".join(self.values[row].split()).encode()) for row in rows]


def open_jsonl(path: Path) -> Raw:
    """Read JSON lines.

    Raises:
        BadData: naming the first line that is not as the others are.
    """
    columns: dict[str, list[str]] = {}
    labels: list[str | int | float] = []
    splits: list[str] = []
    for number, said in enumerate(_lines(path), start=1):
        names = _names(said, number)
        if columns and set(names) != set(columns):
            raise _bad(number, " and ".join(columns), " and ".join(names))
        for name in names:
            columns.setdefault(name, []).append(_text(said[name], name, number))
        if TEXT in names and "label" in said:
            labels.append(_label(said["label"], number))
        splits.append(str(said.get("split", "")))
    rows = len(splits)
    if not rows:
        raise BadData("Expected JSON lines, found none.", hint=JSONL_HINT, code="data.no-rows")
    if labels and len(labels) != rows:
        raise BadData(
            f"Expected a label in every line or in none, found {len(labels):,} in {rows:,} lines.",
            hint="Label the others too, or drop them.",
            code="data.labels-differ",
        )
    declared, loose = _roles(splits)
    return Raw(
        format="jsonl",
        size_bytes=path.stat().st_size,
        inputs={name: Texts(values) for name, values in columns.items()},
        rows=rows,
        labels=_labels(labels),
        declared=declared,
        loose=loose,
    )


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE_BYTES + 1), b""), start=1):
            if len(line) > LONGEST_LINE_BYTES or number > MOST_ROWS:
                raise _bad(number, f"lines below {LONGEST_LINE_BYTES >> 20} MiB, at most {MOST_ROWS:,}", "more")
            if not line.strip():
                continue
            try:
                said = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
            except (ValueError, RecursionError):
                raise _bad(number, "a JSON object in UTF-8", repr(line[:40])) from None
            if not isinstance(said, dict):
                raise _bad(number, "a JSON object", type(said).__name__)
            yield said


def _names(said: dict[str, Any], number: int) -> tuple[str, ...]:
    if QUERY in said and DOCUMENT in said:
        return QUERY, DOCUMENT
    if TEXT in said:
        return (TEXT,)
    raise _bad(number, "text, or query and document", ", ".join(map(str, said))[:80] or "nothing")


def _text(value: Any, name: str, number: int) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _bad(number, f"some text as {name}", repr(value)[:40])
    return value


def _label(value: Any, number: int) -> str | int | float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise _bad(number, "a name or a number as label", repr(value)[:40])
    return value


def _labels(found: list[str | int | float]) -> Array | None:
    if not found:
        return None
    if any(isinstance(label, str) for label in found):
        return np.array([str(label) for label in found])
    return np.array(found, dtype=np.float64 if any(isinstance(label, float) for label in found) else np.int64)


def _roles(splits: list[str]) -> tuple[dict[Role, Array], Array]:
    """The rows of every role that lines name, and those without one."""
    by_role: dict[Role, list[int]] = {}
    loose: list[int] = []
    for row, word in enumerate(splits):
        if word and word not in WORDS:
            raise _bad(row + 1, f"a split among {', '.join(WORDS)}", repr(word)[:40])
        (by_role.setdefault(WORDS[word], []) if word else loose).append(row)
    return {role: np.array(rows) for role, rows in by_role.items()}, np.array(loose, dtype=np.int64)


def _bad(number: int, expected: str, found: str) -> BadData:
    return BadData(f"Line {number:,}: expected {expected}, found {found}.", hint=JSONL_HINT, code="data.jsonl")


def open_prose(path: Path) -> Raw:
    """Cut plain text into passages of about 800 characters that share nothing, at ends of paragraphs and sentences.

    Roles are given to passages by seed, so no word of a test passage stands in another role.

    Raises:
        BadData: if the file is no text.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadData(
            f"Expected plain text in UTF-8, found other bytes at {error.start:,}.",
            hint="Save the file as UTF-8.",
            code="data.not-utf8",
        ) from None
    found = list(passages(text))
    if not found:
        raise BadData("Expected text, found none.", hint="Upload prose of some pages.", code="data.no-rows")
    return Raw(
        format="text",
        size_bytes=path.stat().st_size,
        inputs={TEXT: Texts(found)},
        rows=len(found),
        labels=None,
        declared={},
        loose=np.arange(len(found)),
    )


def passages(text: str) -> Iterator[str]:
    """The text in pieces of at most 800 characters, each ended by a paragraph or a sentence where there is one."""
    piece = ""
    for paragraph in re.split(r"\n\s*\n", text):
        for sentence in SENTENCE_END.split(paragraph.strip()):
            for part in _cut(sentence):
                if piece and len(piece) + 1 + len(part) > PASSAGE_CHARACTERS:
                    yield piece
                    piece = ""
                piece = f"{piece} {part}" if piece else part
    if piece:
        yield piece


def _cut(sentence: str) -> Iterator[str]:
    for start in range(0, len(sentence), PASSAGE_CHARACTERS):
        if part := sentence[start : start + PASSAGE_CHARACTERS].strip():
            yield part


def is_prose(head: bytes) -> bool:
    """Whether the first bytes read as sentences rather than as a table."""
    text = head.decode("utf-8", "ignore")
    lines = [line for line in text.splitlines() if line.strip()][:20]
    letters, digits = (sum(map(kind, text)) for kind in (str.isalpha, str.isdigit))
    if (
        letters + digits + text.count(" ") < PROSE_SHARE * len(text)
        or digits > letters
        or len(text.split()) < FEWEST_PROSE_WORDS
    ):
        return False
    return not any(_is_regular(lines[:-1] or lines, delimiter) for delimiter in ",;\t|")


def _is_regular(lines: list[str], delimiter: str) -> bool:
    """Whether every line has as many delimiters, and no space after them, as sentences do."""
    counts = {line.count(delimiter) for line in lines}
    spaced = sum(line.count(f"{delimiter} ") for line in lines) / max(sum(line.count(delimiter) for line in lines), 1)
    return len(counts) == 1 and counts != {0} and len(lines) > 1 and spaced < 0.5
