"""Parts of the workload's form that belong to one way of running: own machines, a device, a GPU that serves now."""

from __future__ import annotations

from typing import Any, Final

from django import forms

from compressionhub.estimates.uses import OnDevice, OnGpuNow
from workers import device
from workers.serving.tables import Tables
from workers.serving.workload import OnPremises, Triple

ELSEWHERE: Final = ""
HOST: Final = "host-1t"
Found = dict[str, Any]


def number(label: str, *, least: float | None = None, most: float | None = None, **more: Any) -> forms.FloatField:
    return forms.FloatField(label=label, min_value=least, max_value=most, **more)


def _maybe(label: str, *, least: float, most: float) -> forms.FloatField:
    return number(label, least=least, most=most, required=False)


# --- machines of one's own

OWN_NEEDED: Final = ("own_workers", "own_memory_gb", "own_idle_w", "own_active_w", "own_hardware_usd", "own_life_years",
                     "own_used_percent", "own_operations_usd")  # fmt: skip


def own_fields(tables: Tables) -> dict[str, forms.Field]:
    profiles = [(key, each.title) for key, each in device.profiles().items() if key != HOST]
    devices = [(ELSEWHERE, "None of the profiles"), (HOST, "The worker that measured"), *profiles]
    zones = [(zone, f"{row.name} ({zone})") for zone, row in sorted(tables.grid.items())]
    return {
        "own_title": forms.CharField(max_length=80, required=False, label="Name of the machine"),
        "own_device": forms.ChoiceField(choices=devices, required=False, label="Device profile"),
        "own_workers": forms.IntegerField(label="Requests at a time", min_value=1, max_value=1024, required=False),
        "own_memory_gb": _maybe("Memory", least=0.001, most=1e6),
        "own_idle_w": _maybe("Watts at rest", least=0, most=1e6),
        "own_active_w": _maybe("Watts at work", least=0, most=1e6),
        "own_hardware_usd": _maybe("Price of the hardware", least=0, most=1e9),
        "own_life_years": _maybe("Life", least=0.1, most=50),
        "own_used_percent": _maybe("In use", least=0.1, most=100),
        "own_operations_usd": _maybe("Operations a month", least=0, most=1e9),
        "own_embodied_kg": _maybe("Hardware, embodied", least=0, most=1e7),
        "own_grid_zone": forms.ChoiceField(choices=[("", "Not named"), *zones], required=False, label="Grid zone"),
    }


def own_machine(found: Found) -> OnPremises:
    """The machine; every needed field is there."""
    return OnPremises(
        title=found["own_title"] or "machine of one's own", workers=found["own_workers"],
        memory_gb=found["own_memory_gb"], idle_w=_exactly(found["own_idle_w"]),
        active_w=_exactly(found["own_active_w"]), hardware_usd=found["own_hardware_usd"],
        life_years=found["own_life_years"], used_share=found["own_used_percent"] / 100,
        operations_usd_per_month=found["own_operations_usd"], grid_zone=found["own_grid_zone"],
        embodied_kg=None if found["own_embodied_kg"] is None else _exactly(found["own_embodied_kg"]),
        device=found["own_device"],
    )  # fmt: skip


def own_initial(owned: OnPremises | None) -> Found:
    if owned is None:
        return {}
    return {
        "own_title": owned.title, "own_device": owned.device, "own_workers": owned.workers,
        "own_memory_gb": owned.memory_gb, "own_idle_w": owned.idle_w.value, "own_active_w": owned.active_w.value,
        "own_hardware_usd": owned.hardware_usd, "own_life_years": owned.life_years,
        "own_used_percent": round(owned.used_share * 100, 6), "own_operations_usd": owned.operations_usd_per_month,
        "own_embodied_kg": owned.embodied_kg.value if owned.embodied_kg else None, "own_grid_zone": owned.grid_zone,
    }  # fmt: skip


def _exactly(value: float) -> Triple:
    return Triple(low=value, value=value, high=value)


# --- a device with a battery

DEVICE_NEEDED: Final = ("dev_key", "dev_battery_wh", "dev_usable_percent", "dev_base_mw")


def device_fields() -> dict[str, forms.Field]:
    """Devices whose power is on file."""
    known = [(key, each.title) for key, each in device.profiles().items() if each.power_w is not None]
    return {
        "dev_key": forms.ChoiceField(choices=[("", "Choose a device"), *known], required=False, label="Device"),
        "dev_battery_wh": _maybe("Battery", least=1e-6, most=1e5),
        "dev_usable_percent": _maybe("Usable", least=1, most=100),
        "dev_base_mw": _maybe("Draws without the network", least=1e-6, most=1e7),
        "dev_before_mj": _maybe("Energy of an inference, baseline", least=0, most=1e9),
        "dev_after_mj": _maybe("Energy of an inference, variant", least=0, most=1e9),
    }


def on_device(found: Found, *, author: str) -> OnDevice:
    return OnDevice(
        device=found["dev_key"], battery_wh=found["dev_battery_wh"], usable=found["dev_usable_percent"] / 100,
        base_mw=found["dev_base_mw"], before_mj=found["dev_before_mj"], after_mj=found["dev_after_mj"], author=author,
    )  # fmt: skip


def device_initial(used: OnDevice | None) -> Found:
    if used is None:
        return {"dev_usable_percent": 80}
    return {
        "dev_key": used.device, "dev_battery_wh": used.battery_wh, "dev_usable_percent": round(used.usable * 100, 6),
        "dev_base_mw": used.base_mw, "dev_before_mj": used.before_mj, "dev_after_mj": used.after_mj,
    }  # fmt: skip


# --- a GPU that serves now


def gpu_fields(tables: Tables) -> dict[str, forms.Field]:
    known = sorted({name for (_, name), row in tables.instances.items() if row.gpu})
    choices = [("", "No GPU"), *((name, name) for name in known)]
    return {
        "gpu_instance": forms.ChoiceField(choices=choices, required=False, label="GPU instance that serves now"),
        "gpu_mean_ms": _maybe("A request takes, mean", least=1e-4, most=1e7),
        "gpu_p95_ms": _maybe("A request takes, p95", least=1e-4, most=1e7),
    }


def on_gpu_now(found: Found, *, author: str) -> OnGpuNow | None:
    if not found["gpu_instance"] or found["gpu_mean_ms"] is None:
        return None
    tail = found["gpu_p95_ms"] or found["gpu_mean_ms"]
    return OnGpuNow(instance=found["gpu_instance"], mean_ms=found["gpu_mean_ms"], p95_ms=tail, author=author)


def gpu_initial(used: OnGpuNow | None) -> Found:
    if used is None:
        return {}
    return {"gpu_instance": used.instance, "gpu_mean_ms": used.mean_ms, "gpu_p95_ms": used.p95_ms}


def missing(found: Found, needed: tuple[str, ...]) -> tuple[str, ...]:
    """The fields that this way of running needs and that are empty."""
    return tuple(name for name in needed if found.get(name) in (None, ""))
