"""How figures are written: one place for signs, separators, units and digits.

Unknown is ``not known``; a template writes ``–`` where a figure does not apply. The minus is U+2212,
thousands take a comma, units follow after a space, multiples stand without one.
"""

import math
from collections.abc import Iterable
from datetime import date, datetime
from typing import Final

from django.utils import timezone

UNKNOWN: Final = "not known"
MINUS: Final = "−"
BYTE_UNITS: Final = ("bytes", "kB", "MB", "GB", "TB", "PB")
LARGE: Final = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))
LARGE_SI: Final = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def is_known(value: object) -> bool:
    """Whether a value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def number(value: float, places: int = 0, *, signed: bool = False) -> str:
    """Write a number with thousands commas, a true minus and so many decimal places.

    ``signed`` puts a plus before gains and ``±`` before what rounds to zero.
    """
    rounded = round(value, places) + 0.0  # adding zero turns -0.0 into 0.0
    digits = f"{abs(rounded):,.{max(places, 0)}f}"
    if rounded < 0:
        return MINUS + digits
    if not signed:
        return digits
    return ("±" if rounded == 0 else "+") + digits


def significant(value: float, digits: int = 3) -> str:
    """Write a number to so many significant digits; whole numbers beyond that stay whole."""
    if value == 0:
        return "0"
    magnitude = math.floor(math.log10(abs(value)))
    if round(abs(value), digits - 1 - magnitude) >= 10 ** (magnitude + 1):
        magnitude += 1  # 9.996 rounds up into the next decade
    return number(value, max(0, digits - 1 - magnitude))


def places_for(low: float, high: float) -> int:
    """Decimal places that show two digits of an interval's width; 0 for an exact or wide one."""
    width = abs(high - low)
    return 0 if width == 0 or not math.isfinite(width) else max(0, 1 - math.floor(math.log10(width)))


def span(
    low: float | None, high: float | None, places: int | None = None, *, unit: str = "", signed: bool = False
) -> str:
    """A range in words: ``2.44 to 2.56``."""
    if low is None or high is None or not (is_known(low) and is_known(high)):
        return UNKNOWN
    digits = places_for(low, high) if places is None else places
    ends = f"{number(low, digits, signed=signed)} to {number(high, digits, signed=signed)}"
    return f"{ends} {unit}" if unit else ends


def file_size(size_bytes: float | None) -> str:
    """A size in decimal units: ``45.1 MB``, ``212 GB``, ``980 bytes``."""
    if size_bytes is None or not is_known(size_bytes):
        return UNKNOWN
    size, unit = float(size_bytes), 0
    while abs(size) >= 999.5 and unit < len(BYTE_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    if unit == 0:
        return f"{number(size)} bytes" if round(size) != 1 else "1 byte"
    return f"{number(size, 1 if abs(size) < 99.95 else 0)} {BYTE_UNITS[unit]}"


def milliseconds(value_ms: float | None) -> str:
    """A latency to three significant digits: ``14.7 ms``, ``1,108 ms``, ``0.0523 ms``."""
    return UNKNOWN if value_ms is None or not is_known(value_ms) else f"{significant(value_ms)} ms"


def timed(batch: str, past_tokens: int | None) -> str:
    """What a latency is of: ``Latency, batch 1``, or ``Next token, batch 1`` where a language model writes."""
    return f"{'Latency' if past_tokens is None else 'Next token'}, batch {batch}"


def timed_together(batch: str, past_tokens: Iterable[int | None]) -> str:
    """What latencies beside each other are of, which need not all be of one kind."""
    kinds = {timed(batch, each) for each in past_tokens}
    return kinds.pop() if len(kinds) == 1 else f"Latency or next token, batch {batch}"


def tokens_per_second(one_step_ms: float, rows: int = 1) -> str:
    """Tokens that so many rows gain in a second, at one each a step: ``68.2 tokens/s``."""
    return f"{significant(rows * 1000 / one_step_ms)} tokens/s" if one_step_ms > 0 else UNKNOWN


def percent(share: float | None, places: int = 2) -> str:
    """A share from 0 to 1: ``91.42 %``."""
    return UNKNOWN if share is None or not is_known(share) else f"{number(share * 100, places)} %"


def points(difference: float | None, places: int = 2) -> str:
    """A difference of shares, in percentage points: ``−0.42 points``, ``±0.00 points``."""
    return (
        UNKNOWN
        if difference is None or not is_known(difference)
        else f"{number(difference * 100, places, signed=True)} points"
    )


def times(ratio: float | None, places: int = 2) -> str:
    """A ratio: ``2.50×``; one place from ten on."""
    return (
        UNKNOWN
        if ratio is None or not is_known(ratio)
        else f"{number(ratio, places if abs(ratio) < 10 else min(places, 1))}×"
    )


def count(value: float | None) -> str:
    """A whole number with thousands commas: ``1,055``."""
    return UNKNOWN if value is None or not is_known(value) else number(value)


def shaped(sizes: Iterable[int | str], dtype: str) -> str:
    """Shape and type of one sample: ``1 × 28 × 28, float32``; an axis without a fixed size is ``any``."""
    shape = " × ".join("any" if size == -1 else str(size) for size in sizes)
    return f"{shape}, {dtype}" if shape else dtype


def counted(of: int, thing: str) -> str:
    """How many of something: ``1 model``, ``1,055 models``."""
    return f"{number(of)} {thing}{'' if of == 1 else 's'}"


def short_number(value: float | None, *, si: bool = False) -> str:
    """A large number in short: ``11.3 M``, ``1 B``, or ``1.81 G`` with SI prefixes."""
    if value is None or not is_known(value):
        return UNKNOWN
    for size, letter in LARGE_SI if si else LARGE:
        if abs(value) >= size * 0.9995:
            written = significant(value / size)
            return f"{written.rstrip('0').rstrip('.') if '.' in written else written} {letter}"
    return number(value)


def duration(seconds: float | None) -> str:
    """A time span with at most two units: ``2 h 1 min``, ``3 min 12 s``, ``12 s``, ``0.4 s``."""
    if seconds is None or not is_known(seconds):
        return UNKNOWN
    if abs(seconds) < 9.95:
        return f"{number(seconds, 1)} s" if round(seconds, 1) % 1 else f"{number(seconds)} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest and minutes < 10 else f"{round(whole / 60)} min"
    hours, minutes = divmod(round(whole / 60), 60)
    if hours < 48:
        return f"{number(hours)} h {minutes} min" if minutes else f"{number(hours)} h"
    return f"{number(hours / 24)} days"


def about(seconds: float | None) -> str:
    """A time span nobody should read to the second: ``about 48 min``, ``less than 10 s``."""
    if seconds is None or not is_known(seconds):
        return UNKNOWN
    if seconds < 10:
        return "less than 10 s"
    step = 5 if seconds < 60 else 60 if seconds < 7200 else 600
    return f"about {duration(max(step, round(seconds / step) * step))}"


def clock(moment: datetime | None) -> str:
    """A moment as people say it: ``10:21`` today, ``20 Nov 2026, 10:21`` on other days."""
    if moment is None:
        return UNKNOWN
    local = timezone.localtime(moment) if timezone.is_aware(moment) else moment
    today = timezone.localdate()
    return f"{local:%H:%M}" if local.date() == today else f"{local.day} {local:%b %Y, %H:%M}"


def day(moment: date | None) -> str:
    """A date, or that of a moment where we are: ``20 Nov 2026``."""
    if moment is None:
        return UNKNOWN
    here = timezone.localtime(moment) if isinstance(moment, datetime) and timezone.is_aware(moment) else moment
    return f"{here.day} {here:%b %Y}"
