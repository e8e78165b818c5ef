"""Traffic as people type it."""

from typing import Final

from compressionhub.errors import Invalid

MOST_MONTHLY: Final = 1e15


def monthly(typed: str) -> float | None:
    """Predictions a month, typed with or without commas; None for nothing.

    Raises:
        Invalid: if it is no such number.
    """
    plain = typed.replace(",", "").replace(" ", "")
    if not plain:
        return None
    try:
        value = float(plain)
    except ValueError:
        value = -1.0
    if not 0 <= value <= MOST_MONTHLY:
        raise Invalid(f"Expected predictions a month, found {typed[:30]!r}.", hint="Type a number such as 1,000,000.")
    return value
