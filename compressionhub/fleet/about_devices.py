"""What the pages of devices say: profiles with every figure's source, and a team's times and predictions there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median

from compressionhub.accounts.models import Team
from compressionhub.fleet.devices import KINDS, profiles
from compressionhub.fleet.models import DeviceTime
from compressionhub.library.models import ModelVersion
from compressionhub.ui import units
from workers.device import DeviceProfile, Fit
from workers.emulation import Anchor, Ask, Prediction, predict
from workers.emulation.latency_file import LatencyFile
from workers.emulation.pair import ask_there
from workers.errors import YoursToFix
from workers.serving.table_rows import Price
from workers.serving.tables import tables

MOST_MODELS = 20


@dataclass(frozen=True)
class Figure:
    """One figure of a profile as the page shows it."""

    title: str
    value: str
    source: str
    unverified: bool


@dataclass(frozen=True)
class DeviceRow:
    """A profile in the list. ``times`` counts the team's latency files."""

    profile: DeviceProfile
    power: str
    power_range: str
    price: str
    fitted: str
    times: int


@dataclass(frozen=True)
class Time:
    """An uploaded time beside what the graph alone would have predicted."""

    row: DeviceTime
    body: LatencyFile
    predicted: Prediction
    apart: float | None


@dataclass(frozen=True)
class ModelThere:
    """One of the team's models and its time on the device, measured there or predicted."""

    version: ModelVersion
    prediction: Prediction


def elsewhere() -> dict[str, DeviceProfile]:
    """The profiles on file by key: all but the worker's own host, which is no one device."""
    return {key: one for key, one in profiles().items() if one.kind != "host"}


def rows_by_kind(team: Team) -> list[tuple[str, list[DeviceRow]]]:
    """Every profile under the word for its kind."""
    counted: dict[str, int] = {}
    for key in DeviceTime.objects.filter(team=team).values_list("device", flat=True):
        counted[key] = counted.get(key, 0) + 1
    found = [
        DeviceRow(
            one,
            _watts(one.power_w),
            power_range(one),
            _price(one),
            fit_words(one.fit),
            counted.get(one.key, 0),
        )
        for one in elsewhere().values()
    ]
    by_kind = {word: [one for one in found if one.profile.kind == kind] for kind, word in KINDS.items()}
    return [(word, of_kind) for word, of_kind in by_kind.items() if of_kind]


def power_range(profile: DeviceProfile) -> str:
    """The range of the power under load, empty where nobody states one."""
    if profile.power_low_w is None or profile.power_high_w is None:
        return ""
    return f"{profile.power_low_w:.3g}–{profile.power_high_w:.3g}"


def fit_words(fit: Fit | None) -> str:
    """What predictions rest on, empty where nothing is fitted."""
    if fit is None:
        return ""
    return f"{len(fit.models)} networks under {fit.runtime}"


def median_error(fit: Fit) -> float:
    """The median of |predicted / measured - 1| over published networks that the fit had not seen."""
    return float(median(abs(math.expm1(-residual)) for residual in fit.log_residuals))


def figures(profile: DeviceProfile) -> list[Figure]:
    """Every figure that has a source, in the words of the page."""
    said = {
        "cores": ("Cores", str(profile.cores)),
        "memory_bytes": ("Memory", units.file_size(profile.memory_bytes)),
        "isa": ("Instructions", ", ".join(profile.isa)),
        "power_w": ("Power under load", _watts(profile.power_w)),
        "power_low_w": ("Power, low end", _watts(profile.power_low_w)),
        "power_high_w": ("Power, high end", _watts(profile.power_high_w)),
        "idle_w": ("Power, idle", _watts(profile.idle_w)),
        "battery_wh": ("Battery", f"{profile.battery_wh:.3g} Wh" if profile.battery_wh else ""),
        "price_usd": ("Price", _dollars(profile.price_usd)),
    }
    found = [
        Figure(title, value, profile.sources[name], name in profile.unverified)
        for name, (title, value) in said.items()
        if name in profile.sources and value
    ]
    return [*found, *(_rent_figure(rent) for rent in [_rent(profile)] if rent is not None)]


def _rent_figure(rent: Price) -> Figure:
    where = f"{rent.tenancy}, {rent.instance} in {rent.region}, {units.day(rent.as_of)}: {rent.source}"
    return Figure("Price an hour", f"${rent.usd_per_hour:.3f}", where, unverified=False)


def _rent(profile: DeviceProfile) -> Price | None:
    """What an hour of it costs where it is an instance of the packaged tables, in the first region that has a price."""
    kept = tables()
    names = {(one.provider, one.instance) for one in kept.instances.values() if one.profile == profile.key}
    return next((price for price in kept.prices.values() if (price.provider, price.instance) in names), None)


def _price(profile: DeviceProfile) -> str:
    rent = _rent(profile)
    return f"${rent.usd_per_hour:.3f} an hour" if rent is not None else _dollars(profile.price_usd)


def _dollars(value: float | None) -> str:
    return "" if value is None else f"${value:,.0f}"


def _watts(value: float | None) -> str:
    return "" if value is None else f"{value:.3g} W"


def times(team: Team, profile: DeviceProfile) -> list[Time]:
    """The team's latency files for a profile, newest first, each beside its prediction without any of them."""
    found = DeviceTime.objects.of(team, profile.key).select_related("uploaded_by")
    return [_time(row, profile) for row in found]


def _time(row: DeviceTime, profile: DeviceProfile) -> Time:
    body = row.body
    anchor = row.anchor
    alone = predict_alone(anchor, profile)
    band = alone.latency_ms
    return Time(row, body, alone, body.p50_ms / band.value if band else None)


def predict_alone(anchor: Anchor, profile: DeviceProfile) -> Prediction:
    """What the graph alone says of a network whose time is known."""
    return predict(Ask(layers=anchor.layers, precision=anchor.precision, runtime=anchor.runtime), profile)


def anchors(team: Team, key: str) -> tuple[Anchor, ...]:
    """The team's measured times on a profile, newest first."""
    return tuple(row.anchor for row in DeviceTime.objects.of(team, key).select_related("uploaded_by"))


def models_there(team: Team, profile: DeviceProfile) -> list[ModelThere]:
    """The newest version of each of the team's models on a profile, at most twenty."""
    newest: dict[object, ModelVersion] = {}
    ready = ModelVersion.objects.ready().filter(model__team=team).select_related("model").order_by("-created_at")
    for version in ready:
        if version.facts is not None and len(newest) < MOST_MODELS:
            newest.setdefault(version.model_id, version)
    known = anchors(team, profile.key)
    return [ModelThere(version, _predicted(version, profile, known)) for version in newest.values()]


def _predicted(version: ModelVersion, profile: DeviceProfile, known: tuple[Anchor, ...]) -> Prediction:
    if version.facts is None:
        raise ValueError(f"{version} was not inspected")
    try:
        return predict(ask_there(version.facts, version.sha256, known), profile)
    except YoursToFix as error:
        return Prediction(device=profile.key, latency_ms=None, why=error.message)
