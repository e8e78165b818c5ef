"""How well a language model foretells each next token."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
NOTHING = -100  # stands where no token is to be foretold; torch's own mark for that


def next_token_losses(scores: NDArray[np.floating], tokens: NDArray[np.int64]) -> Floats:
    """Minus the log of the probability given to each next token.

    Args:
        scores: (rows, length, vocabulary), before the softmax.
        tokens: (rows, length), with ``NOTHING`` where a row has ended.

    Returns:
        (rows, length - 1); 0 where there is no next token.
    """
    losses = np.zeros((tokens.shape[0], tokens.shape[1] - 1), dtype=np.float32)
    for row in range(len(tokens)):  # a row of scores takes tens of megabytes
        places = np.flatnonzero(tokens[row, 1:] != NOTHING)
        said = scores[row, places].astype(np.float64)
        largest = said.max(axis=1, keepdims=True, initial=-np.inf)
        total = np.log(np.exp(said - largest).sum(axis=1)) + largest[:, 0]
        losses[row, places] = total - said[np.arange(len(places)), tokens[row, places + 1]]
    return losses
