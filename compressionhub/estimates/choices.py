"""What the workload's form offers: places with their instances, days and starting points."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from compressionhub.estimates import tables
from compressionhub.estimates.uses import OnDevice
from workers.serving.presets import CARD_DAY, FLIGHT_DAY, OFFICE_DAY, PRESETS
from workers.serving.workload import SHOP_DAY

DAYS: Final[dict[str, tuple[str, tuple[float, ...]]]] = {
    "shop": ("Shop: busiest in the early evening", SHOP_DAY),
    "flights": ("Airport: morning and evening waves", FLIGHT_DAY),
    "cards": ("Card payments: long afternoon", CARD_DAY),
    "office": ("Office hours", OFFICE_DAY),
}
OWNED: Final = "on-premises"
DEVICE: Final = "device"
BILLINGS: Final = (
    ("Rented", (("autoscaled", "Autoscaled"), ("static", "Static"), ("serverless", "Serverless"))),
    ("Elsewhere", ((OWNED, "On machines of one's own"), (DEVICE, "On a device with a battery"))),
)
WEARABLE: Final = OnDevice(device="stm32u575", battery_wh=0.675, usable=0.8, base_mw=0.5)  # a CR2032: 225 mAh at 3 V
FIRST_PLACE: Final = "aws/us-east-1/c6i.xlarge"


@lru_cache(maxsize=16)
def places(version: str = "") -> list[tuple[str, list[tuple[str, str]]]]:
    """Instances with a price in a set of tables, grouped by region; values are provider/region/instance."""
    grouped: dict[str, list[tuple[str, str]]] = {}
    found = tables.at(version)
    for provider, region, instance in sorted(found.prices):
        if (provider, instance) in found.instances:
            grouped.setdefault(f"{provider} {region}", []).append(
                (f"{provider}/{region}/{instance}", f"{region}, {instance}")
            )
    return list(grouped.items())


def day_of(shape: tuple[float, ...]) -> str:
    """The name of a day, or "kept" for one of nobody's list."""
    return next((name for name, (_, known) in DAYS.items() if known == shape), "kept")


def presets() -> list[tuple[str, str, str]]:
    """Starting points: slug, title, sentence."""
    return [(slug, each.title, each.sentence) for slug, each in PRESETS.items()]
