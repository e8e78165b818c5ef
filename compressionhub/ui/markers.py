"""The marker of each technique family: shape and hue belong together, the same on every page and chart."""

from typing import Final

from workers.technique import Family

# Paths in a box of 10 by 10, also used as chart symbols.
PATHS: Final[dict[Family, str]] = {
    Family.QUANTIZATION: "M9.5 5a4.5 4.5 0 1 1-9 0a4.5 4.5 0 1 1 9 0Z",
    Family.PRUNING: "M5 .6 9.7 9.2H.3Z",
    Family.DISTILLATION: "M5 0 10 5 5 10 0 5Z",
    Family.LOWRANK: "M.8.8h8.4v8.4H.8Z",
    Family.SHARING: "M.3.8h9.4L5 9.4Z",
    Family.SEARCH: "M3.5 0h3v3.5H10v3H6.5V10h-3V6.5H0v-3h3.5Z",
    Family.RECOVERY: "M0 3.2h10v3.6H0Z",
    Family.COMBINED: "M2.5.7h5L10 5 7.5 9.3h-5L0 5Z",
}
LABELS: Final[dict[Family, str]] = {
    Family.QUANTIZATION: "Quantization",
    Family.PRUNING: "Pruning",
    Family.DISTILLATION: "Distillation",
    Family.LOWRANK: "Low-rank",
    Family.SHARING: "Weight sharing",
    Family.SEARCH: "Architecture search",
    Family.RECOVERY: "Fine-tuning",
    Family.COMBINED: "Several families",
}


def symbol(family: Family) -> str:
    """The marker as an ECharts symbol."""
    return f"path://{PATHS[family]}"


def colour(family: Family) -> str:
    """The hue as a token a chart resolves."""
    return f"$t-{family}"
