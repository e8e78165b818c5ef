"""Text under a contract: what the network's tokenizer makes of it, in batches."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from workers.contract import Contract, InputSpec, Task, TokenizerSpec
from workers.datasets.raw import Array, BadData, Raw
from workers.datasets.split import Split
from workers.datasets.text import DOCUMENT, QUERY, TEXT, Texts
from workers.facts import DatasetFacts, Role, RoleFacts
from workers.numerics.next_token import NOTHING
from workers.workbench import Batch

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TOKENIZER_FILE = "tokenizer.json"
LENGTH_STEP = 8
# Scores over a vocabulary take 50 MB a window; more windows at once would not be faster.
MOST_WINDOWS_AT_ONCE = 4
OTHER_INPUTS = {"token_type_ids": "zeros", "position_ids": "places"}
EXCERPT = 120  # characters


@dataclass(frozen=True)
class Tokens:
    """Token numbers and mask of some texts, both (texts, length), int64; the text's rows and its labels."""

    ids: Array
    mask: Array
    rows: Array
    labels: Array | None


class OpenedTexts:
    """See ``workers.workbench.Data``.

    A pair of query and document is fed as two texts, one after the other; their labels are (number of the document,
    whether this is one), and equal documents have equal numbers. For language models the labels are the tokens.
    """

    def __init__(
        self, *, raw: Raw, contract: Contract, facts: DatasetFacts, division: Split, labels: Array | None,
        companions: Path | None,
    ) -> None:  # fmt: skip
        self.raw = raw
        self.is_pairs = QUERY in raw.inputs
        self.facts = _in_texts(facts) if self.is_pairs else facts
        self._contract = contract
        self._spec, self._tokenizer = _tokenizer(contract, companions)
        self._rows, self._labels = division.rows, labels
        self._tokens: dict[Role, Tokens] = {}
        self._ways = {spec.name: _way(spec, self._spec) for spec in contract.inputs}
        self._documents = _numbered(self._column(DOCUMENT)) if self.is_pairs else np.arange(0)

    def batches(self, role: Role, *, size: int, limit: int | None = None) -> Iterator[Batch]:
        """The texts of a role in a fixed order, all of one length.

        Raises:
            BadData: if the role is empty.
        """
        tokens = self._of(role)
        predicts = self._contract.task is Task.CAUSAL_LM
        step = min(size, MOST_WINDOWS_AT_ONCE) if predicts else size
        for start in range(0, min(len(tokens.rows), limit or len(tokens.rows)), step):
            some = slice(start, min(start + step, limit or start + step))
            yield Batch(
                inputs={spec.name: self._input(spec, tokens, some) for spec in self._contract.inputs},
                labels=None if tokens.labels is None else tokens.labels[some],
                rows=tokens.rows[some],
                next_token=predicts,
            )

    def excerpt(self, row: int) -> str:
        """How the text of a row begins; of pairs, rows count texts as ``Batch.rows`` does."""
        name = (DOCUMENT if row % 2 else QUERY) if self.is_pairs else TEXT
        text = " ".join(self._column(name)[self.line(row)].split())
        return text if len(text) <= EXCERPT else text[: EXCERPT - 1].rstrip() + "…"

    def line(self, row: int) -> int:
        """The row of the file that a text stands in."""
        return row // 2 if self.is_pairs else row

    def _of(self, role: Role) -> Tokens:
        if role not in self._rows:
            raise BadData(
                f"Expected {role} rows, found none.",
                hint=f"Choose a dataset with {role} rows.",
                code="data.role-missing",
            )
        if role not in self._tokens:
            self._tokens[role] = self._made(role)
        return self._tokens[role]

    def _made(self, role: Role) -> Tokens:
        rows = self._rows[role]
        if self.is_pairs:
            queries, documents = self._column(QUERY), self._column(DOCUMENT)
            texts = [text for row in rows for text in (queries[row], documents[row])]
            numbers = np.repeat(self._documents[rows], 2)
            labels: Array | None = np.stack([numbers, np.tile([0, 1], len(rows))], axis=1)
            rows = np.stack([2 * rows, 2 * rows + 1], axis=1).reshape(-1)
        else:
            values = self._column(TEXT)
            texts = [values[row] for row in rows]
            labels = None if self._labels is None or role in self.raw.unlabelled else self._labels[rows]
        ids, mask = self._encoded(texts)
        if self._contract.task is Task.CAUSAL_LM:
            labels = np.where(mask > 0, ids, NOTHING)
        return Tokens(ids, mask, rows, labels)

    def _column(self, name: str) -> list[str]:
        column = self.raw.inputs[name]
        assert isinstance(column, Texts)
        return column.values

    def _encoded(self, texts: list[str]) -> tuple[Array, Array]:
        found = [encoding.ids for encoding in self._tokenizer.encode_batch(texts)]
        longest = max((len(ids) for ids in found), default=1)
        length = self._fixed_length() or min(self._spec.max_length, -(-longest // LENGTH_STEP) * LENGTH_STEP)
        ids = np.full((len(found), length), self._spec.pad_id, dtype=np.int64)
        mask = np.zeros((len(found), length), dtype=np.int64)
        for row, tokens in enumerate(found):
            ids[row, : len(tokens)] = tokens[:length]
            mask[row, : len(tokens)] = 1
        return ids, mask

    def _fixed_length(self) -> int:
        """The length the graph insists on, or 0 where it is free."""
        fixed = [spec.shape[0] for spec in self._contract.inputs if len(spec.shape) == 1 and spec.shape[0] > 0]
        return min(fixed, default=0)

    def _input(self, spec: InputSpec, tokens: Tokens, some: slice) -> Array:
        ids = tokens.ids[some]
        places = np.broadcast_to(np.arange(ids.shape[1]), ids.shape)
        given = {"ids": ids, "mask": tokens.mask[some], "zeros": np.zeros_like(ids), "places": places}
        return np.ascontiguousarray(given[self._ways[spec.name]].astype(spec.dtype))


def _in_texts(facts: DatasetFacts) -> DatasetFacts:
    """The facts with every pair counted as the two texts it is fed as."""
    roles = {role: RoleFacts(rows=2 * said.rows, declared=said.declared) for role, said in facts.roles.items()}
    return facts.model_copy(update={"roles": roles})


def _numbered(documents: list[str]) -> Array:
    """One number per row; equal documents have the same."""
    seen: dict[str, int] = {}
    return np.array([seen.setdefault(text, len(seen)) for text in documents], dtype=np.int64)


def _tokenizer(contract: Contract, companions: Path | None) -> "tuple[TokenizerSpec, Tokenizer]":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # its threads are not those the job was given
    from tokenizers import Tokenizer

    file = None if companions is None else companions / TOKENIZER_FILE
    if file is None or not file.is_file():
        raise BadData(
            "Expected a tokenizer beside the network to read text with, found none.",
            hint="Upload the network as a Hugging Face directory with tokenizer.json (tokenizer.save_pretrained), or as"
            " a zip with tokenizer.json beside model.onnx.",
            code="data.no-tokenizer",
        )
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises plain Exception
        raise BadData(
            f"Expected a tokenizer.json of the tokenizers library, found one of which it says: {str(error)[:120]}.",
            hint="Save it again with tokenizer.save_pretrained(folder).",
            code="data.tokenizer-broken",
        ) from None
    spec = contract.tokenizer or TokenizerSpec()
    tokenizer.no_padding()
    tokenizer.enable_truncation(spec.max_length)
    return spec, tokenizer


def _way(spec: InputSpec, tokenizer: TokenizerSpec) -> str:
    named = {tokenizer.ids: "ids", tokenizer.mask: "mask", tokenizer.types: "zeros"} | OTHER_INPUTS
    way = named.get(spec.name) if spec.name else None
    if way is None or np.dtype(spec.dtype).kind not in "iuf":
        raise BadData(
            f"Expected the inputs {tokenizer.ids!r} and {tokenizer.mask!r}, found {spec.name!r}.",
            hint="Name the token inputs in the contract's tokenizer, or feed arrays (.npz).",
            code="data.input-missing",
        )
    return way
