"""How near the right document lies to its query, among all documents."""

import numpy as np
from numpy.typing import NDArray

QUERIES_AT_ONCE = 256
ROUNDING = 1e-12  # equal vectors differ by that much in another column of the product


def documents_of(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """The numbers of the documents among (texts, 2) labels, each once."""
    return np.unique(labels[labels[:, 1] == 1, 0])


def asking(labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of (texts, 2) labels are queries whose document is among the texts."""
    found: NDArray[np.bool_] = (labels[:, 1] == 0) & np.isin(labels[:, 0], documents_of(labels))
    return found


def ranks(vectors: NDArray[np.floating], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """The place of each query's document by cosine, 1 for the nearest; ties count against it.

    Args:
        vectors: (texts, features).
        labels: (texts, 2): the number of the document, and 1 for a document or 0 for its query. A document that
            stands there twice counts once; queries whose document is not among the texts are left out.

    Returns:
        One rank per query that is left, see ``asking``.
    """
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    unit = vectors / np.maximum(lengths, 1e-30)
    numbers, is_document = labels[:, 0], labels[:, 1] == 1
    known, first = np.unique(numbers[is_document], return_index=True)
    documents = unit[is_document][first]
    asks = asking(labels)
    queries, right = unit[asks], np.searchsorted(known, numbers[asks])
    if not len(queries):
        raise ValueError("expected at least one query with its document")
    found = np.empty(len(queries), dtype=np.int64)
    for start in range(0, len(queries), QUERIES_AT_ONCE):
        some = slice(start, start + QUERIES_AT_ONCE)
        near = queries[some] @ documents.T  # (queries, documents)
        own = near[np.arange(len(near)), right[some]]
        found[some] = (~(near < own[:, None] - ROUNDING)).sum(axis=1)
    return found
