"""How sharply a network is pruned over the course of a training. NumPy is not even needed."""


def cubic_sparsity(final: float, done: float, *, first: float = 0.0) -> float:
    """The share of zeros after a part of the pruning is done: quick at first, slow at the end.

    Args:
        final: share of zeros at the end, in [0, 1].
        done: part of the pruning that is over; beyond 1 it stays at ``final``, below 0 at ``first``.
        first: share of zeros at the start.

    Source: Zhu & Gupta 2017, arXiv:1710.01878, equation 1.
    """
    left = 1 - min(max(done, 0.0), 1.0)
    return final + (first - final) * left**3
