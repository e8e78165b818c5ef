"""Searching a sequence whose items get better from left to right, with few looks."""

from collections.abc import Callable


def first_passing(count: int, passes: Callable[[int], bool]) -> int | None:
    """The smallest number from 0 to ``count - 1`` that passes, by bisection.

    Args:
        passes: asked about log2(count) + 1 times. Where it is not monotone, the answer still passes,
            though a smaller number might as well.

    Returns:
        A number that was asked for and passed, or None if the last one fails.
    """
    low, high, found = 0, count - 1, None
    while low <= high:
        middle = (low + high) // 2 if found is not None else high if low else 0
        if passes(middle):
            found, high = middle, middle - 1
        elif found is None and low:
            return None
        else:
            low = middle + 1
    return found
