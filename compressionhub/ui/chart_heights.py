"""The heights a chart may have. The style sheet has a class for each, because pages carry no inline style."""

from typing import Final

FOR_ROWS: Final = (150, 200, 260, 320, 380, 480)
FOR_LINES: Final = 350  # on phones 220: too low for a bar a row
HEIGHTS: Final = frozenset({*FOR_ROWS, FOR_LINES})


def at_least(pixels: int, *, most: int = FOR_ROWS[-1]) -> int:
    """The lowest height of a chart with a bar a row that has so much room, else ``most``."""
    return next((height for height in FOR_ROWS if pixels <= height <= most), most)
